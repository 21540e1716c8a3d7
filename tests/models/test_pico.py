"""The world of pico, its questions, its tokenizer and its shipped weights."""

import hashlib

import numpy as np
import pytest
import torch
from PIL import Image

from winnow.models.pico.build import TOKEN_IDS, WEIGHTS, build_model, build_processor, build_tokenizer
from winnow.models.pico.questions import VIDEO_TYPES, VOCABULARY, ask, caption, relevance
from winnow.models.pico.training.language import answer_states, train_words
from winnow.models.pico.training.muon import orthogonalize
from winnow.models.pico.training.packing import IGNORED, choose_tokens, pack, scene_labels
from winnow.models.pico.training.tower import train_tower
from winnow.models.pico.world import FRAMES, GRID, PATCH, SIZE, SPLITS, Scene, Thing, generator, render, sample_scene


def scene_of_two() -> Scene:
    """Build a red circle resting in cell (1, 2) from frame 0, then a green ring drifting right from frame 3."""
    circle = Thing(color=0, shape=0, start=0, cells=((1, 2), (1, 2)), size=10, shift=(1, 1))
    ring = Thing(color=1, shape=5, start=3, cells=((4, 0), (4, 1), (4, 2)), size=10, shift=(1, 1))
    return circle, ring


def test_world_is_deterministic() -> None:
    """The same seed, split and index give the same pixels; the benchmark's version rests on it."""
    digest = hashlib.sha256()
    for index in range(4):
        rng = generator(7, "test", index)
        digest.update(render(rng, sample_scene(rng))[0].tobytes())
    assert digest.hexdigest() == "64973004673f03cf9f332e51e1ed726293baf74898355188f03a308864cd7429"


def test_splits_share_no_scene() -> None:
    """Streams of different splits draw different scenes."""
    drawn = [{sample_scene(generator(3, split, index)) for index in range(200)} for split in SPLITS]
    assert not set.intersection(*drawn)


@pytest.mark.parametrize("frames", [1, FRAMES])
def test_scenes_keep_their_promises(frames: int) -> None:
    """Names are distinct, starts are distinct in a video, and no two things share a cell."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        scene = sample_scene(rng, frames)
        assert len({t.color for t in scene}) == len({t.shape for t in scene}) == len(scene) <= 4
        assert frames == 1 or len({t.start for t in scene}) == len(scene)
        places = [(f, *cell) for t in scene for f, cell in zip(t.frames, t.cells, strict=True)]
        assert len(set(places)) == len(places)
        assert all(0 <= f < frames and 0 <= y < GRID and 0 <= x < GRID for f, y, x in places)


def test_relevance_marks_the_cells_of_the_target() -> None:
    """Pixels of the asked thing are counted where it is, and nowhere else."""
    frames, coverage = render(np.random.default_rng(0), scene_of_two())
    assert frames.shape == (FRAMES, SIZE, SIZE, 3)
    marks = np.array(relevance(coverage, [0])).reshape(FRAMES, GRID, GRID)
    assert set(zip(*np.nonzero(marks), strict=True)) == {(0, 1, 2), (1, 1, 2)}
    patch = frames[0, PATCH : 2 * PATCH, 2 * PATCH : 3 * PATCH]
    assert patch[6, 6, 0] > 180 > 60 > patch[6, 6, 1]
    both = np.array(relevance(coverage, [0, 1])).reshape(FRAMES, GRID, GRID)
    assert {(3, 4, 0), (4, 4, 1), (5, 4, 2)} == set(zip(*np.nonzero(both), strict=True)) - {(0, 1, 2), (1, 1, 2)}


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
    assert caption(scene_of_two()) == "a red circle then a green ring"


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
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == "is there an orange ring ?"
    assert tokenizer.convert_tokens_to_ids(list(VOCABULARY)) == list(range(len(VOCABULARY)))


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


def test_packed_questions_agree_with_the_plain_forward() -> None:
    """Without knock-out, each segment gets the logits that the genuine model gives the prompt alone."""
    rng = np.random.default_rng(0)
    model = build_model().eval()
    scenes = [sample_scene(rng) for _ in range(2)]
    text = pack(rng, scenes, FRAMES, questions=3, captions=1)
    visual = torch.randn(2, FRAMES * GRID * GRID, 128)
    places = torch.arange(visual.shape[1]).expand(2, -1)
    with torch.no_grad():
        states, leak = answer_states(model, visual, places, text, FRAMES, depth=0)
        own = text.segments[1] == 3
        embed = model.get_input_embeddings()
        prefix = embed(torch.tensor([[TOKEN_IDS["<s>"], TOKEN_IDS["user"]]]))
        alone = torch.cat([prefix, visual[1:], embed(text.tokens[1:, own[:]])], 1)
        expected = model(inputs_embeds=alone).logits[0, -int(own.sum()) :]
    assert leak == 0
    torch.testing.assert_close(model.lm_head(states[1, own]), expected, atol=1e-4, rtol=1e-4)


def test_knock_out_hides_the_visual_tokens() -> None:
    """With all layers knocked out, text does not depend on what is seen."""
    rng = np.random.default_rng(0)
    model = build_model().eval()
    text = pack(rng, [scene_of_two()], FRAMES, questions=2, captions=0)
    places = torch.arange(10).expand(1, -1)
    with torch.no_grad():
        states = [answer_states(model, torch.randn(1, 10, 128), places, text, FRAMES, depth=8)[0] for _ in range(2)]
    torch.testing.assert_close(*states)


def test_pack_predicts_answers() -> None:
    """The token before an answer is "assistant" and its target is the answer."""
    text = pack(np.random.default_rng(0), [scene_of_two()], FRAMES, questions=5, captions=1)
    asked = text.kinds >= 0
    assert asked.sum() == 5
    assert set(text.tokens[asked].tolist()) == {TOKEN_IDS["assistant"]}
    assert (text.targets[asked] != IGNORED).all()


def test_choose_tokens_keeps_things() -> None:
    """Background goes before things do."""
    labels = scene_labels(scene_of_two(), FRAMES)[None]
    kept = choose_tokens(np.random.default_rng(0), labels, budget=9)
    assert kept.shape == (1, 9) and (np.diff(kept) > 0).all()
    assert (labels[0, kept[0], 0] > 0).sum() == 5


def test_orthogonalize() -> None:
    """Singular values end near one."""
    values = torch.linalg.svdvals(orthogonalize(torch.randn(3, 8, 20, generator=torch.Generator().manual_seed(0))))
    assert values.min() > 0.3 and values.max() < 1.3


def test_training_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """A few steps lower the losses."""
    model = build_model()
    rng = np.random.default_rng(0)
    start = train_words(model, rng, steps=1, batch=4)
    assert train_words(model, rng, steps=12, batch=4) < start
    assert 0 <= train_tower(model, rng, steps=2, batch=4) <= 1


@pytest.fixture(scope="module")
def answers() -> float:
    """Share of right answers of the shipped checkpoint on held-out videos, by its own processor and `generate`."""
    from transformers import AutoModelForImageTextToText, AutoProcessor

    model = AutoModelForImageTextToText.from_pretrained(WEIGHTS, dtype="float32")
    processor = AutoProcessor.from_pretrained(WEIGHTS)
    right = []
    for index in range(48):
        rng = generator(5, "test", index)
        scene = sample_scene(rng, count=2 + index % 3)
        question = ask(rng, scene, VIDEO_TYPES[index % len(VIDEO_TYPES)])
        frames = [Image.fromarray(frame) for frame in render(rng, scene)[0]]
        content = [{"type": "image"}] * len(frames) + [{"type": "text", "text": question.text}]
        prompt = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
        inputs = processor(text=[prompt], images=frames, return_tensors="pt")
        output = model.generate(**inputs)[:, inputs["input_ids"].shape[1] :]
        right.append(processor.batch_decode(output, skip_special_tokens=True)[0].strip() == question.answer)
    return float(np.mean(right))


def test_shipped_checkpoint_answers(answers: float) -> None:
    """The Auto classes load the checkpoint and it knows its world."""
    assert answers > 0.85


def test_shipped_checkpoint_is_small() -> None:
    """The whole folder stays below eight megabytes."""
    assert sum(path.stat().st_size for path in WEIGHTS.iterdir()) < 8e6
