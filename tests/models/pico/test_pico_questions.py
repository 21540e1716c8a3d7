"""pico's questions, their words, and the items of its benchmark."""

from collections import Counter, defaultdict

import numpy as np
import pytest
import torch
from PIL import Image

from winnow.models.pico import items
from winnow.models.pico.build import TOKEN_IDS, build_processor, build_tokenizer
from winnow.models.pico.items import SEEDS, draw_item, held_out
from winnow.models.pico.questions import (
    LETTERS,
    TYPES,
    UNK,
    VIDEO_TYPES,
    VOCABULARY,
    ask,
    caption,
    split_words,
    with_letters,
)
from winnow.models.pico.shots import ask_shot, kinds, sample_shot
from winnow.models.pico.training.language import unseen_shot
from winnow.models.pico.world import FRAMES, GRID, SPLITS, Scene, Thing, render, sample_scene

N = 120


def scene_of_two() -> Scene:
    """Build a red circle resting in cell (1, 2) from frame 0, then a green ring drifting right from frame 3."""
    circle = Thing(color=0, shape=0, start=0, cells=((1, 2), (1, 2)), size=10, shift=(1, 1))
    ring = Thing(color=1, shape=5, start=3, cells=((4, 0), (4, 1), (4, 2)), size=10, shift=(1, 1))
    return circle, ring


def test_answers_of_a_known_scene() -> None:
    """Each type's answer is that of a reader of the scene."""
    truth = {
        "what color is the circle ?": ("red", (0,)),
        "what color is the ring ?": ("green", (1,)),
        "what shape is the red object ?": ("circle", (0,)),
        "what shape is the green object ?": ("ring", (1,)),
        "which color appears first ?": ("red", (0, 1)),
        "which shape appears first ?": ("circle", (0, 1)),
        "which color appears last ?": ("green", (0, 1)),
        "which shape appears last ?": ("ring", (0, 1)),
        "how many objects are there ?": ("two", (0, 1)),
        "is there a red circle ?": ("yes", (0,)),
        "is there a green ring ?": ("yes", (1,)),
    }
    rng = np.random.default_rng(0)
    for kind in VIDEO_TYPES * 20:
        question = ask(rng, scene_of_two(), kind)
        assert (question.answer, question.targets) == truth.get(question.text, ("no", question.targets))
    assert caption(scene_of_two()).answer == "a red circle then a green ring"


def test_absent_things_are_nearly_there() -> None:
    """Most absent things share colour or shape with a thing of the scene, which then is the target."""
    rng = np.random.default_rng(0)
    near = 0
    for _ in range(200):
        scene = sample_scene(rng)
        question = ask(rng, scene, "exist", present=False)
        hue, form = question.text.split()[-3:-1]
        named = [(VOCABULARY[TOKEN_IDS["red"] + t.color], VOCABULARY[TOKEN_IDS["circle"] + t.shape]) for t in scene]
        assert question.answer == "no" and (hue, form) not in named
        assert question.targets == tuple(i for i, (c, s) in enumerate(named) if c == hue or s == form)
        near += bool(question.targets)
    assert near > 140


def test_unknown_type_is_refused() -> None:
    """The error names the known types."""
    with pytest.raises(ValueError, match="known are color"):
        ask(np.random.default_rng(0), scene_of_two(), "mood")


def test_tokenizer_round_trip() -> None:
    """Every word is one token and comes back."""
    tokenizer = build_tokenizer()
    text = "Is there an orange ring?"
    options = tokenizer("what a?\n(A) Red\nB. 472")["input_ids"]
    assert tokenizer.decode(options) == "what a ? ( A ) red B . 472"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == "is there an orange ring ?"
    assert len(tokenizer) == len(VOCABULARY)


def test_processor_expands_frames() -> None:
    """Eight frames become one run of two hundred visual tokens; pixels are only rescaled."""
    processor = build_processor()
    content = [{"type": "image"}] * FRAMES + [{"type": "text", "text": "what color is the circle ?"}]
    prompt = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    frames = render(np.random.default_rng(0), scene_of_two())[0]
    inputs = processor(text=[prompt], images=[Image.fromarray(frame) for frame in frames], return_tensors="pt")
    visual = (inputs["input_ids"][0] == TOKEN_IDS["<image>"]).nonzero().flatten()
    assert visual.tolist() == list(range(2, 2 + FRAMES * GRID * GRID))
    expected = torch.from_numpy(frames).permute(0, 3, 1, 2) / 127.5 - 1
    torch.testing.assert_close(inputs["pixel_values"], expected)


@pytest.mark.parametrize("topic", SEEDS)
def test_every_text_is_known_words(topic: str) -> None:
    """Training and tokenizer split a text alike, no word is unknown, and answers come back whole."""
    tokenizer = build_tokenizer()
    for index in range(30):
        question = draw_item(topic, "test", index)[2]
        for text in (question.text, question.answer):
            ids = tokenizer(text)["input_ids"]
            assert ids == [TOKEN_IDS[word] for word in split_words(text)] and TOKEN_IDS[UNK] not in ids
        assert tokenizer.decode(ids) == question.answer


def test_answers_follow_from_the_scene() -> None:
    """Whatever is asked of a shot, the answer names what its target things show."""
    rng = np.random.default_rng(2)
    for _ in range(150):
        shot = sample_shot(rng, str(rng.choice(["image", "video", "film"])), number=0.5)
        for kind in kinds(shot):
            question = ask_shot(rng, shot, kind)
            things = [shot.drawn[i] for i in question.targets]
            seen = {VOCABULARY[TOKEN_IDS["red"] + t.color] for t in things}
            if question.text.startswith("what color"):
                assert {question.answer} == seen
            elif kind == "number":
                assert question.answer == "".join(str(thing.shape - 6) for thing in things)
            elif kind == "place":
                (row, column) = things[0].cells[0]
                assert question.answer == f"{'top' if row < 2 else 'bottom'} {'left' if column < 2 else 'right'}"
            elif kind == "brief":
                assert len(things[0].cells) <= 2 and shot.brief in question.targets


@pytest.mark.parametrize("options", [3, 4])
def test_letters_offer_the_answer_once(options: int) -> None:
    """The right letter stands before the answer, wrong ones before other words of its kind."""
    rng = np.random.default_rng(0)
    found = Counter()
    for _ in range(90):
        plain = ask(rng, scene_of_two(), "color")
        asked = with_letters(rng, plain, options)
        words = [line.split()[-1] for line in asked.text.splitlines()[1:]]
        assert len(set(words)) == options and words[LETTERS.index(asked.answer)] == plain.answer
        found[asked.answer] += 1
    assert set(found) == set(LETTERS[:options]) and max(found.values()) < 1.6 * 90 / options


def test_held_out_items_are_never_trained_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training draws again when it meets what the benchmark holds."""
    from winnow.models.pico.training import language

    first = sample_shot(np.random.default_rng(3), "image", 0.5)
    monkeypatch.setattr(language, "held_out", lambda: frozenset([first.drawn]))
    assert unseen_shot(np.random.default_rng(3), "image") != first
    monkeypatch.setattr(items, "SIZE", 8)
    drawn = {draw_item(topic, split, 7)[1].drawn for topic in SEEDS for split in SPLITS}
    assert drawn <= held_out.__wrapped__()


@pytest.mark.parametrize("topic", SEEDS)
def test_text_alone_is_at_chance(topic: str) -> None:
    """The best answer to each text, with the words of attributes and options left out, is right by chance."""
    by_text: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for split in SPLITS:
        for index in range(N):
            question = draw_item(topic, split, index)[2]
            by_text[_without_names(question.text)][question.answer] += 1
    sure = sum(max(answers.values()) for answers in by_text.values()) / (len(SPLITS) * N)
    assert sure < {"letter": 0.42, "place": 0.3, "number": 0.12}.get(topic, 0.45)


def _without_names(text: str) -> str:
    """Drop colours and shapes, which are drawn evenly, and the options but for their number."""
    first, *options = text.splitlines()
    words = [word for word in first.split() if TOKEN_IDS[word] not in range(TOKEN_IDS["red"], TOKEN_IDS["one"])]
    return f"{' '.join(words)} {len(options)}".replace(" an ", " a ")


def test_second_questions_share_a_video() -> None:
    """Items of a pair are about one shot and ask something else."""
    for index in range(0, 60, 2):
        (_, shot, question), (_, again, other) = (draw_item("second", "test", i) for i in (index, index + 1))
        assert shot == again and question.type != other.type


@pytest.mark.parametrize("topic", ["place", "letter"])
def test_answers_are_balanced(topic: str) -> None:
    """Each quarter, and each letter among as many options, is right equally often."""
    found: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for index in range(144):
        question = draw_item(topic, "test", index)[2]
        found[len(question.text.splitlines())][question.answer] += 1
    assert all(len(set(answers.values())) == 1 for answers in found.values())
    assert {draw_item(topic, "test", 0)[2].type} <= set(TYPES)
