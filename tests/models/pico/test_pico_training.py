"""The training of pico: its forward is the model's own, and it goes on exactly where it was stopped."""

from pathlib import Path

import numpy as np
import pytest
import torch

from winnow.models.pico.build import TOKEN_IDS, build_model
from winnow.models.pico.questions import EOS, TYPES
from winnow.models.pico.shots import sample_shot
from winnow.models.pico.training import language, stages
from winnow.models.pico.training.forward import answer_states
from winnow.models.pico.training.language import SHARES, AnswerLesson, Part
from winnow.models.pico.training.muon import orthogonalize
from winnow.models.pico.training.packing import IGNORED, Pack, choose_tokens, draw_questions, pack, shot_labels
from winnow.models.pico.training.stages import STAGES, run_stage
from winnow.models.pico.training.tower import TowerLesson
from winnow.models.pico.world import FRAMES, GRID


@pytest.fixture(autouse=True)
def _nothing_held_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing the benchmark takes a second; `test_pico_questions.py` holds that training leaves it out."""
    monkeypatch.setattr(language, "held_out", frozenset)


def packed(rng: np.random.Generator, rows: int = 2, letters: bool = False) -> Pack:
    """Lay out four questions about each of some videos."""
    shots = [sample_shot(rng, "video", 0.5) for _ in range(rows)]
    asked = [draw_questions(rng, shot, 4, SHARES, letters) for shot in shots]
    return pack(rng, asked)


@pytest.mark.parametrize("letters", [False, True])
def test_packed_questions_agree_with_the_plain_forward(letters: bool) -> None:
    """Without knock-out, each question gets the logits that the genuine model gives the prompt alone."""
    model = build_model().eval()
    text = packed(np.random.default_rng(0), letters=letters)
    visual = torch.randn(2, FRAMES * GRID * GRID, 128)
    places = torch.arange(visual.shape[1]).expand(2, -1)
    with torch.no_grad():
        states, leak = answer_states(model, visual, places, text, FRAMES, depth=0)
        own = text.real[1, 2] > 0
        embed = model.get_input_embeddings()
        prefix = embed(torch.tensor([[TOKEN_IDS["<s>"], TOKEN_IDS["user"]]]))
        alone = torch.cat([prefix, visual[1:], embed(text.tokens[1:, 2, own])], 1)
        expected = model(inputs_embeds=alone).logits[0, -int(own.sum()) :]
    assert leak == 0
    torch.testing.assert_close(model.lm_head(states[1, 2, own]), expected, atol=1e-4, rtol=1e-4)


def test_tokens_that_are_left_out_keep_their_places() -> None:
    """A part of the visual tokens is computed as the model computes it with those position ids."""
    model = build_model().eval()
    text = packed(np.random.default_rng(0), rows=1)
    places = torch.tensor([[3, 50, 51, 180]])
    visual = torch.randn(1, 4, 128)
    with torch.no_grad():
        states, _ = answer_states(model, visual, places, text, FRAMES, depth=0)
        own = text.real[0, 0] > 0
        embed = model.get_input_embeddings()
        prefix = embed(torch.tensor([[TOKEN_IDS["<s>"], TOKEN_IDS["user"]]]))
        alone = torch.cat([prefix, visual, embed(text.tokens[:, 0, own])], 1)
        after = 2 + FRAMES * GRID * GRID + torch.arange(int(own.sum()))
        positions = torch.cat([torch.arange(2), 2 + places[0], after])[None]
        expected = model(inputs_embeds=alone, position_ids=positions).logits[0, -int(own.sum()) :]
    torch.testing.assert_close(model.lm_head(states[0, 0, own]), expected, atol=1e-4, rtol=1e-4)


def test_knock_out_hides_the_visual_tokens() -> None:
    """With all layers knocked out, text does not depend on what is seen; what it would look at is counted."""
    model = build_model().eval()
    text = packed(np.random.default_rng(0), rows=1)
    places = torch.arange(10).expand(1, -1)
    with torch.no_grad():
        found = [answer_states(model, torch.randn(1, 10, 128), places, text, FRAMES, depth=8) for _ in range(2)]
    torch.testing.assert_close(found[0][0], found[1][0])
    assert all(0 < leak < 1 for _, leak in found)


def test_pack_predicts_answers() -> None:
    """The token before an answer is "assistant", the answer follows it and the end follows the answer."""
    text = packed(np.random.default_rng(0), rows=8)
    first = text.tokens == TOKEN_IDS["assistant"]
    assert first.sum() == 8 * 4 and (text.targets[first] != IGNORED).all()
    assert (text.targets == TOKEN_IDS[EOS]).sum() == 8 * 4
    asked = text.kinds >= 0
    assert asked.any() and (text.targets[asked] != TOKEN_IDS[EOS]).all()
    assert (text.weights[text.targets == IGNORED] == 0).all() and text.kinds.max() < len(TYPES)


def test_choose_tokens_keeps_things() -> None:
    """Background goes before things do."""
    rng = np.random.default_rng(0)
    labels = shot_labels(sample_shot(rng, "video"))[None]
    things = int((labels[..., 0] > 0).sum())
    kept = choose_tokens(rng, labels, budget=things + 4)
    assert kept.shape == (1, things + 4) and (np.diff(kept) > 0).all()
    assert (labels[0, kept[0], 0] > 0).sum() == things


def test_orthogonalize() -> None:
    """Singular values end near one."""
    values = torch.linalg.svdvals(orthogonalize(torch.randn(3, 8, 20, generator=torch.Generator().manual_seed(0))))
    assert values.min() > 0.3 and values.max() < 1.3


SMALL = (
    Part("video", 1, 40, 3),
    Part("image", 1, 25, 2, "letters"),
    Part("film", 1, 80, 1),
    Part("drill", 1, 0, 2, "letters"),
    Part("video", 1, 40, 1, "told"),
)


def lesson(steps: int, joint: bool) -> AnswerLesson:
    """Begin a small lesson on a fresh model."""
    torch.manual_seed(0)
    return AnswerLesson(build_model(), steps, lambda _: SMALL, joint, (3e-3, 2e-3))


@pytest.mark.parametrize("joint", [False, True])
def test_lessons_lower_their_loss(joint: bool) -> None:
    """A few steps lower the loss, and every part reports."""
    taught = lesson(4, joint)
    start = taught.loss(np.random.default_rng(9)).item()
    for _ in range(4):
        taught.advance((0, 1, 0))
    assert taught.loss(np.random.default_rng(9)).item() < start
    report = taught.score.flush()
    assert all(f"{name}-" in report for name in ("video", "image*", "film", "drill*")) and "leak" in report


def test_the_tower_learns_to_name() -> None:
    """A few steps lower the loss of the tower."""
    taught = TowerLesson(build_model(), 6, batch=4)
    rng = np.random.default_rng(0)
    start = taught.loss(np.random.default_rng(9)).item()
    for _ in range(6):
        taught.trainer.step(taught.loss(rng))
    assert taught.loss(np.random.default_rng(9)).item() < start


def test_a_stage_goes_on_exactly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A training that was stopped ends with the very weights of one that was not."""
    small = stages.Stage(4, lambda model, steps: AnswerLesson(model, steps, lambda _: SMALL[:1], False, (3e-3, 2e-3)))
    monkeypatch.setitem(STAGES, "words", small)
    monkeypatch.setattr(stages, "KEEP", 2)
    whole, first, second = build_model(), build_model(), build_model()
    run_stage(whole, "words", tmp_path, 0)
    kept = (tmp_path / "words.pt").read_bytes()
    (tmp_path / "words.pt").unlink()
    stop = AnswerLesson.advance

    def killed(self: AnswerLesson, key: tuple[int, ...]) -> None:
        if self.trainer.done == 3:
            raise KeyboardInterrupt
        stop(self, key)

    monkeypatch.setattr(AnswerLesson, "advance", killed)
    with pytest.raises(KeyboardInterrupt):
        run_stage(first, "words", tmp_path, 0)
    monkeypatch.setattr(AnswerLesson, "advance", stop)
    run_stage(second, "words", tmp_path, 0)
    assert len(kept) > 0
    for (name, ours), theirs in zip(second.state_dict().items(), whole.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs), name
