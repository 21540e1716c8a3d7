import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from views import layout, view

from winnow.reducers.blind import Blind
from winnow.reducers.core.base import Scorer, top
from winnow.reducers.core.errors import UnsupportedError, WinnowError
from winnow.reducers.core.layout import Grid
from winnow.reducers.core.probes import Rows, page_rank, received_attention
from winnow.reducers.core.schedule import K
from winnow.reducers.core.site import Site
from winnow.reducers.fastv import FastV
from winnow.reducers.oracle import Oracle
from winnow.reducers.random import RandomDrop

LAST = Rows("last")


def fastv_by_hand(attention: list[float], ratio: float) -> list[int]:
    """The paper in words: sort by attention, cut, restore order."""
    ranked = sorted(range(len(attention)), key=lambda i: (-attention[i], i))
    return sorted(ranked[: min(len(attention), max(1, round(len(attention) * ratio)))])


@settings(deadline=None, max_examples=200)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=40), st.floats(0.01, 1))
def test_fastv_is_its_paragraph(attention: list[int], ratio: float) -> None:
    prompt = layout((1, 1, len(attention)))
    signal = torch.rand(prompt.length)
    signal[prompt.visual] = torch.tensor(attention).float()
    kept = FastV(ratio=ratio).reduce(view(prompt, 2, {(LAST, 1): signal})).keep - 3
    assert kept.tolist() == fastv_by_hand([float(a) for a in attention], ratio)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=30, unique=True), st.integers(1, 30))
def test_lowest_and_highest_part_the_tokens(score: list[float], count: int) -> None:
    values = torch.tensor(score)
    count = min(count, len(score))
    rest = top(-values, len(score) - count)
    assert sorted(top(values, count).tolist() + rest.tolist()) == list(range(len(score)))


def test_counts_of_the_papers() -> None:
    assert FastV(R=0.5).plan([(1, 576)], 32) == [576] * 2 + [288] * 30
    assert FastV(R=0.75).plan([(1, 576)], 32)[2] == 144
    shares = [n / 576 for n in FastV(R=0.5).plan([(1, 576)], 32)]
    assert sum(shares) / 32 == pytest.approx(0.53125)  # VAS' Img-Memory column
    assert sum(FastV(R=0.5).plan([(32, 144)], 28)) / 28 / 4608 == pytest.approx(0.53571, abs=1e-5)
    assert Blind().plan([(1, 576)], 32) == [0] * 32


def test_each_span_has_its_own_budget() -> None:
    prompt = layout((2, 2, 2), (1, 1, 1), (1, 3, 3))
    drop = RandomDrop(ratio=0.25, scope="span")
    kept = drop.reduce(view(prompt)).keep
    assert [int(torch.isin(kept, span.positions).sum()) for span in prompt.spans] == [2, 1, 2]
    assert drop.plan([(2, 4), (1, 1), (1, 9)], 4) == [5] * 4


def test_random_depends_on_the_key_alone() -> None:
    one, two = (RandomDrop().reduce(view(layout((4, 3, 3), key=key))).keep for key in ("a", "b"))
    again = RandomDrop().reduce(view(layout((4, 3, 3), key="a"))).keep
    assert torch.equal(one, again)
    assert not torch.equal(one, two)


def test_random_is_uniform() -> None:
    counts = torch.zeros(36)
    for key in range(400):
        prompt = layout((4, 3, 3), key=str(key))
        counts[RandomDrop(ratio=0.25).reduce(view(prompt)).keep - 3] += 1
    assert counts.sum() == 400 * 9
    assert (counts - 100).abs().max() < 40  # 4.6 standard deviations of a binomial


def test_oracle_keeps_what_the_question_is_about() -> None:
    relevance = torch.zeros(36)
    relevance[[4, 20, 21]] = torch.tensor([9.0, 30.0, 1.0])
    prompt = dataclasses.replace(layout((4, 3, 3)), relevance=relevance)
    best = Oracle(ratio=4 / 36).reduce(view(prompt)).keep - 3
    worst = Oracle(ratio=33 / 36, select="lowest").reduce(view(prompt)).keep - 3
    assert {4, 20, 21} <= set(best.tolist())
    assert {4, 20, 21}.isdisjoint(worst.tolist())


def test_oracle_needs_synthetic_data() -> None:
    with pytest.raises(UnsupportedError, match="use a pico task"):
        Oracle().reduce(view(layout((1, 2, 2))))


@pytest.mark.parametrize("ratio", [0, -0.1, 1.2])
def test_bad_ratios_are_named(ratio: float) -> None:
    with pytest.raises(WinnowError, match=rf"ratio={ratio} is not allowed.*0 < ratio <= 1"):
        RandomDrop(ratio=ratio)


def test_bad_choices_are_listed() -> None:
    with pytest.raises(WinnowError, match=r"reducer.rows=first is not allowed: choose last \| text \| all"):
        FastV(rows="first")  # type: ignore[arg-type]


def test_r_is_the_share_dropped_and_wins() -> None:
    assert FastV(R=0.75, ratio=0.5).ratio == 0.25
    with pytest.raises(WinnowError, match=r"1-R=0"):
        FastV(R=1.0)


def attention_by_hand(query: torch.Tensor, key: torch.Tensor, scaling: float) -> torch.Tensor:
    """The causal attention matrix in float64, mean over heads."""
    heads, n, _ = query.shape
    key = key.repeat_interleave(heads // key.shape[0], 0)
    logits = query.double() @ key.double().mT * scaling
    return logits.masked_fill(torch.ones(n, n).triu(1).bool(), float("-inf")).softmax(-1).mean(0)


@pytest.mark.parametrize("rows", [[], [11], [3, 4, 9], list(range(12))])
@pytest.mark.parametrize("chunk", [1, 5, 256])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_received_attention_is_the_column_sum(rows: list[int], chunk: int, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    query, key = torch.randn(6, 12, 8, dtype=dtype), torch.randn(2, 12, 8, dtype=dtype)
    expected = attention_by_hand(query, key, 0.4)[torch.tensor(rows, dtype=torch.long)].sum(0)
    received = received_attention(query, key, torch.tensor(rows, dtype=torch.long), 0.4, chunk)
    assert (received - expected).abs().max() < 1e-5


def test_a_new_method_is_one_score() -> None:
    @dataclasses.dataclass(frozen=True)
    class First(Scorer):
        def score(self, view):  # noqa: ANN001, ANN202
            return -view.visual

    assert First(ratio=0.2, schedule=K(3)).reduce(view(layout((1, 1, 10)), 3)).keep.tolist() == [3, 4]


@pytest.mark.parametrize("chunk", [1, 5, 256, None])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_page_rank_is_the_power_iteration(chunk: int | None, dtype: torch.dtype) -> None:
    """AIM's importance, written out with the whole matrix per head in float64."""
    torch.manual_seed(0)
    query, key = torch.randn(6, 12, 8, dtype=dtype), torch.randn(2, 12, 8, dtype=dtype)
    logits = query.double() @ key.repeat_interleave(3, 0).double().mT * 0.4 / 0.1
    matrix = logits.masked_fill(torch.ones(12, 12).triu(1).bool(), float("-inf")).softmax(-1)
    rank = torch.full((6, 1, 12), 1 / 12, dtype=torch.double)
    for _ in range(5):
        rank = rank @ matrix
    expected = rank[:, 0].square().mean(0).sqrt()
    assert (page_rank(query, key, 0.4, chunk=chunk) - expected).abs().max() < 1e-5


def test_fastv_rounds_down_like_the_official_port() -> None:
    frame, site = Grid(1, 576), Site.layer(3, 32)
    for ratio, nearest, down in ((0.05, 29, 28), (0.25, 144, 144), (0.001, 1, 1)):
        assert FastV(ratio=ratio, schedule=K(3)).count(site, frame, 576) == nearest
        assert FastV(ratio=ratio, rounding="down", schedule=K(3)).count(site, frame, 576) == down
