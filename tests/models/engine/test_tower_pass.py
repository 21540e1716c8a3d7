"""One pass through the tower on tensors made by hand: statistics, merges, masks, and where vectors go."""

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from winnow.models.engine.tower_pass import TowerPass
from winnow.reducers.core.base import Reducer
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.reduction import Reduction
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import (
    ClsLogits,
    ClsRow,
    ColumnMean,
    Headless,
    PatchLogits,
    Tower,
    TowerKeys,
    TowerValues,
)

LEFT = torch.finfo(torch.float32).min


@dataclass(frozen=True)
class Keeps(Reducer):
    """Answers the frames in turn with what it was given."""

    answers: Any = ()
    proportional: bool = False

    def reduce(self, view: Any) -> Reduction | None:
        return next(self.answers)


def tower(cls: bool) -> Tower:
    return Tower(blocks=2, used=2, rows=2, cols=2, cls=cls)


def passing(cls: bool, *answers: Reduction | None, proportional: bool = False) -> TowerPass:
    return TowerPass(Keeps(iter(answers), proportional), tower(cls), max(1, len(answers)))


def drop(*kept: int) -> Reduction:
    return Reduction(torch.tensor(kept))


@pytest.mark.parametrize("cls", [False, True])
def test_statistics_are_those_of_attention_by_loops(cls: bool) -> None:
    draw = torch.Generator().manual_seed(0)
    n, heads, width = 4 + cls, 2, 3
    query, key, value = (torch.randn(1, heads, n, width, generator=draw) for _ in range(3))
    frames = passing(cls)
    probes = [
        ColumnMean(),
        Headless(),
        ClsLogits(),
        PatchLogits(),
        TowerKeys(),
        TowerValues(),
        *([ClsRow()] if cls else []),
    ]
    frames.observe(1, probes, query, key, value, 0.7)
    found = frames.signals[0]
    weights, raw = torch.zeros(2, n, n)
    for i in range(n):
        for h in range(heads):
            logits = torch.stack([0.7 * (query[0, h, i] * key[0, h, j]).sum() for j in range(n)])
            weights[i] += logits.softmax(0) / heads
            raw[i] += logits / heads
    asking = range(int(cls), n)  # the class token receives and sends, but is no patch
    columns = torch.stack([torch.stack([weights[i, j] for i in asking]).mean() for j in asking])
    assert torch.allclose(found[ColumnMean(), 1], columns, atol=1e-6)
    if cls:
        assert torch.allclose(found[ClsRow(), 1], weights[0, 1:], atol=1e-6)
    assert torch.allclose(found[ClsLogits(), 1], (raw[0] if cls else raw.mean(0))[int(cls) :], atol=1e-6)
    assert torch.allclose(found[PatchLogits(), 1], raw[int(cls) :], atol=1e-6)
    wide_q, wide_k = (x[0].transpose(0, 1).reshape(n, -1) for x in (query, key))
    row = wide_q[0] if cls else wide_q.mean(0)
    softmax = torch.stack([(row * wide_k[j]).sum() / 6**0.5 for j in range(n)]).softmax(0)
    assert torch.allclose(found[Headless(), 1], softmax[int(cls) :], atol=1e-6)
    assert torch.equal(found[TowerKeys(), 1], key[0, :, int(cls) :].transpose(0, 1))
    assert torch.equal(found[TowerValues(), 1], value[0, :, int(cls) :].transpose(0, 1))


def test_what_does_not_last_is_gone_in_the_next_block() -> None:
    frames, query = passing(True), torch.randn(1, 2, 5, 3)
    frames.observe(0, [ColumnMean(), PatchLogits()], query, query, query, 1.0)
    assert {*frames.signals[0]} == {(ColumnMean(), 0), (PatchLogits(), 0)}
    frames.observe(1, [ClsLogits()], query, query, query, 1.0)
    assert {*frames.signals[0]} == {(ColumnMean(), 0), (ClsLogits(), 1)}


def test_a_method_is_told_what_it_said_of_the_same_frame() -> None:
    answers = [Reduction(torch.arange(4), told="a"), None, Reduction(torch.arange(3)), Reduction(torch.arange(2))]
    frames, heard = passing(False, *answers[:2]), []

    @dataclass(frozen=True)
    class Hears(Keeps):
        def reduce(self, view: Any) -> Reduction | None:
            heard.append(view.told)
            return super().reduce(view)

    frames.reducer = Hears(iter(answers))
    for block in (0, 1):
        frames.reduce(Site.tower(block, tower(False)), torch.randn(2, 4, 3), cls=False)
    assert heard == [None, None, "a", None]


def test_padding_of_a_shorter_frame_is_in_no_statistic() -> None:
    frames = passing(True, drop(0, 3), drop(0, 1, 2))
    frames.reduce(Site.tower(0, tower(True)), torch.randn(2, 5, 3), cls=True)
    query, key, value = (torch.randn(2, 1, 4, 3) for _ in range(3))
    frames.observe(1, [ColumnMean(), ClsRow()], query, key, value, 1.0)
    short = passing(True)
    short.index = [torch.tensor([0, 3])]
    short.observe(1, [ColumnMean(), ClsRow()], query[:1, :, :3], key[:1, :, :3], value[:1, :, :3], 1.0)
    for probe in (ColumnMean(), ClsRow()):
        assert torch.equal(frames.signals[0][probe, 1], short.signals[0][probe, 1])
        assert [len(found[probe, 1]) for found in frames.signals] == [2, 3]


def test_frames_keep_their_own_patches_behind_the_class_token() -> None:
    hidden = torch.arange(2 * 5).float().view(2, 5, 1)
    frames = passing(True, drop(1, 2), None)
    found = frames.reduce(Site.tower(0, tower(True)), hidden, cls=True)
    assert found[0, :3, 0].tolist() == [0, 2, 3] and found[1, :, 0].tolist() == [5, 6, 7, 8, 9]
    assert [index.tolist() for index in frames.index] == [[1, 2], [0, 1, 2, 3]] and frames.reduced


def test_nothing_changes_where_every_frame_keeps_all() -> None:
    hidden = torch.randn(2, 4, 3)
    frames = passing(False, None, drop(0, 1, 2, 3))
    assert frames.reduce(Site.tower(0, tower(False)), hidden, cls=False) is hidden and not frames.reduced


def test_a_merge_makes_means_and_keeps_the_books() -> None:
    weights = torch.tensor([[0.5, 0.5, 0, 0], [0, 0, 0.25, 0.75]]).to_sparse()
    frames = passing(False, Reduction(torch.tensor([0, 3]), weights))
    found = frames.reduce(Site.tower(0, tower(False)), torch.tensor([[[0.0], [2], [4], [8]]]), cls=False)
    assert found[0, :, 0].tolist() == [1, 7]
    assert (frames.anchor[0].tolist(), frames.size[0].tolist()) == ([0, 0, 3, 3], [2, 2])
    assert (frames.own[0].tolist(), frames.index[0].tolist()) == ([0, 3], [0, 3])


@pytest.mark.parametrize("kept", [(1, 4), (2, 1), (1, 1)])
def test_patches_that_are_gone_or_out_of_order_are_refused(kept: tuple[int, ...]) -> None:
    with pytest.raises(WinnowError, match="patches that are gone, or not in ascending order"):
        passing(False, drop(*kept)).reduce(Site.tower(0, tower(False)), torch.zeros(1, 4, 1), cls=False)


def mask(frames: TowerPass, hidden: Tensor, how: str) -> list[Any] | None:
    found = frames.mask(hidden, how)
    return None if found is None else found.tolist()


def test_masks_close_padding_for_every_row() -> None:
    frames = passing(True, drop(0), drop(1, 2))
    hidden = frames.reduce(Site.tower(0, tower(True)), torch.zeros(2, 5, 1), cls=True)
    open_, closed = [True, True, True], [True, True, False]
    assert mask(frames, hidden, "sdpa") == [[[closed] * 3], [[open_] * 3]]
    assert mask(frames, hidden, "eager") == [[[[0, 0, LEFT]] * 3], [[[0, 0, 0]] * 3]]
    even = passing(True, drop(0), drop(3))
    assert mask(even, even.reduce(Site.tower(0, tower(True)), torch.zeros(2, 5, 1), cls=True), "sdpa") is None


@pytest.mark.parametrize("how", ["sdpa", "eager"])
def test_proportional_attention_adds_the_log_of_sizes_and_nothing_to_the_class_token(how: str) -> None:
    weights = torch.tensor([[0.5, 0.5, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]).to_sparse()
    frames = passing(True, Reduction(torch.tensor([0, 2, 3]), weights), drop(1, 2), proportional=True)
    hidden = frames.reduce(Site.tower(0, tower(True)), torch.zeros(2, 5, 1), cls=True)
    found = frames.mask(hidden, how)
    assert found is not None and found.shape == (2, 1, 4, 4)
    assert torch.allclose(found[0, 0], torch.tensor([0, 2.0, 1, 1]).log().clamp(min=0).expand(4, 4))
    assert found[1, 0].tolist() == [[0, 0, 0, LEFT]] * 4


@pytest.mark.parametrize("cls", [False, True])
def test_vectors_go_to_their_patches_or_to_the_first_slots(cls: bool) -> None:
    frames = passing(cls, drop(1, 3), drop(0, 1, 2))
    hidden = torch.arange(1.0, 1 + 2 * (4 + cls)).view(2, -1, 1)
    kept = frames.reduce(Site.features(tower(cls)), hidden, cls=cls)
    head = [hidden[f, 0, 0].item() for f in range(2)] if cls else []
    own = hidden[:, int(cls) :, 0].tolist()
    full = frames.scatter(kept, None, cls)[:, :, 0].tolist()
    assert full == [[*head[:1], 0, own[0][1], 0, own[0][3]], [*head[1:], *own[1][:3], 0]]
    pooled = frames.scatter(kept, 3, cls)[:, :, 0].tolist()
    assert pooled == [[*head[:1], own[0][1], own[0][3], 0], [*head[1:], *own[1][:3]]]
    assert [slots.tolist() for slots in frames.slots(3)] == [[0, 1], [0, 1, 2]]
