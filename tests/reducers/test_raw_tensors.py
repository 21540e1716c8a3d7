"""Methods on raw tensors: views by hand, reductions applied, statistics as functions."""

import math

import pytest
import torch
from torch import Tensor

from winnow import Grid, Layout, Reduction, Rows, Site, Tower, TowerView, View
from winnow.reducers.core.matching import group_mean
from winnow.reducers.core.tower_statistics import ROWS, cls_attention, headless_attention, mean_attention


def test_a_view_of_a_prompt() -> None:
    hidden = torch.randn(40, 6)
    gone = torch.full((40,), -1).index_fill_(0, torch.tensor([4, 30]), 1)
    view = View.of(Layout.of(40, (3, (2, 4, 4)), (36, (1, 1, 2)), key="x"), hidden, Site.layer(2, 28), removed_at=gone)
    assert [span.grid for span in view.layout.spans] == [Grid(2, 16, 4), Grid(1, 2, 2)]
    assert view.visual.tolist() == [3, *range(5, 30), *range(31, 35), 36, 37] and view.layer == 2
    assert torch.equal(view.visual_hidden, hidden[view.visual]) and view.layout.key == "x"


def test_a_view_of_a_frame() -> None:
    tower = Tower(blocks=24, used=23, rows=3, cols=3, cls=True)
    frame = TowerView.of(Site.features(tower), torch.randn(9, 4))
    assert frame.index.tolist() == list(range(9)) and frame.size.tolist() == [1] * 9 and frame.block == 23
    assert frame.batch == ({},)


def test_what_is_kept_and_what_is_merged() -> None:
    hidden, index = torch.randn(6, 3), torch.tensor([2, 3, 5, 8, 9, 11])
    assert torch.equal(Reduction(torch.tensor([3, 9])).apply(hidden, index), hidden[[1, 4]])
    assert torch.equal(Reduction(torch.tensor([0, 5])).apply(hidden), hidden[[0, 5]])
    weights = group_mean(torch.tensor([0, 0, 1, -1, 1, 1]), 2)
    merged = Reduction(torch.tensor([2, 5]), weights).apply(hidden.half(), index)
    expected = torch.stack([hidden[:2].mean(0), hidden[[2, 4, 5]].mean(0)])
    assert merged.dtype == torch.float16 and torch.allclose(merged.float(), expected, atol=2e-3)


def softmax(values: list[float]) -> list[float]:
    powers = [math.exp(value - max(values)) for value in values]
    return [power / sum(powers) for power in powers]


def received(query: Tensor, key: Tensor, rows: range, scaling: float, added: list[float]) -> list[float]:
    """Mean over heads and rows, written as loops."""
    heads, tokens, _ = key.shape
    total = [0.0] * tokens
    for h in range(heads):
        for row in rows:
            weights = softmax([scaling * float(query[h, row] @ key[h, j]) + added[j] for j in range(tokens)])
            total = [a + b for a, b in zip(total, weights, strict=True)]
    return [value / heads / len(rows) for value in total]


@pytest.mark.parametrize("seed", range(20))
def test_statistics_of_the_tower(seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    query, key = (torch.randn(3, 6, 4, generator=random, dtype=torch.double) for _ in range(2))
    sizes = torch.randint(1, 5, (6,), generator=random).double().log() if seed % 2 else None
    added = [0.0] * 6 if sizes is None else sizes.tolist()
    ours = cls_attention(query, key, 0.5, sizes)
    assert ours.tolist() == pytest.approx(received(query, key, range(1), 0.5, added)[1:], abs=1e-6)
    for cls in (True, False):
        ours = mean_attention(query, key, 0.5, sizes, cls)
        assert ours.tolist() == pytest.approx(received(query, key, range(cls, 6), 0.5, added)[cls:], abs=1e-6)
        wide, keys = query.transpose(0, 1).flatten(1), key.transpose(0, 1).flatten(1)
        asking = wide[0] if cls else wide.mean(0)
        expected = softmax([float(asking @ keys[j]) / math.sqrt(12) for j in range(6)])[cls:]
        assert headless_attention(query, key, cls).tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("far", ["", "above", "below"])
@pytest.mark.parametrize("sized", [False, True])
def test_a_mean_over_blocks_of_rows_is_that_of_the_softmax(far: str, sized: bool) -> None:
    random = torch.Generator().manual_seed(len(far) + 2 * sized)
    query, key = (torch.randn(2, 2 * ROWS + 7, 8, generator=random) for _ in range(2))
    if far == "above":
        query[0, 5], key[0, 9] = query[0, 5] * 40, key[0, 9] * 40
    elif far == "below":
        query[0, 5], key[0] = -60, key[0].abs() + 1
    log_sizes = torch.randint(1, 700, (2 * ROWS + 7,), generator=random).log() if sized else None
    logits = query.double() @ key.double().mT * 0.7
    assert bool(logits.max() > 100) == (far == "above")  # whose exponential float32 cannot hold
    assert bool(logits.amax(-1).min() < -110) == (far == "below")  # of whose exponentials float32 holds none
    expected = (logits if log_sizes is None else logits + log_sizes.double()).softmax(-1)
    assert torch.allclose(mean_attention(query, key, 0.7, log_sizes).double(), expected.mean((0, 1)), rtol=1e-4)
    class_token = mean_attention(query, key, 0.7, log_sizes, cls=True).double()
    assert torch.allclose(class_token, expected[:, 1:, 1:].mean((0, 1)), rtol=1e-4)


def test_a_statistic_holds_no_graph() -> None:
    query = torch.randn(2, 5, 3, requires_grad=True)
    assert not mean_attention(query, query, 1.0).requires_grad


def test_a_probe_can_be_imported_beside_its_methods() -> None:
    assert Rows("last") == Rows(which="last")
