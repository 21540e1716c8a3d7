"""Statistics of prompts of unlike length in one batch, behind held keys and in front of a tail."""

from typing import Any

import pytest
import torch
from torch import Tensor

from winnow.models.engine.signals import ALONE, Around, Signals
from winnow.reducers.core.errors import UnsupportedError
from winnow.reducers.core.layout import Layout
from winnow.reducers.core.probes import (
    Change,
    HighestRows,
    Keys,
    KeysAhead,
    LookAhead,
    MeanQuery,
    PageRank,
    PeakRows,
    Probe,
    Raters,
    Rows,
    raters,
)

LONG, SHORT, TEXT = Layout.of(8, (1, (1, 2, 2))), Layout.of(5, (1, (1, 1, 2))), Layout(3)
PROMPTS = [LONG, SHORT, TEXT]
INDEX = [torch.tensor([0, 1, 3, 4, 5, 6, 7]), torch.arange(5), torch.arange(3)]
"""The first prompt has lost its second visual token."""
HEADS, GROUPS, WIDTH = 4, 2, 8


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def matrix(query: Tensor, key: Tensor, scaling: float) -> Tensor:
    """The weights of one prompt, ``(heads, n, held + n)``."""
    logits = query @ key.repeat_interleave(HEADS // GROUPS, 0).mT * scaling
    n, every = logits.shape[-2:]
    return logits.masked_fill(torch.ones(n, every).triu(1 + every - n).bool(), float("-inf")).softmax(-1)


def on_prompt(values: Tensor, b: int) -> Tensor:
    full = torch.zeros(PROMPTS[b].length)
    full[INDEX[b]] = values
    return full


def expected(probe: Rows | PeakRows, b: int, weights: Tensor, held: int) -> Tensor:
    own, layout, index = weights[..., held:], PROMPTS[b], INDEX[b]
    rows = {
        "last": torch.arange(len(index)) == len(index) - 1,
        "text": layout.is_question[index],
        "visual": layout.is_visual[index],
        "all": torch.ones(len(index), dtype=torch.bool),
    }[probe.which]
    joined = own.amax(0) if isinstance(probe, PeakRows) else own.mean(0)
    if isinstance(probe, HighestRows):
        return joined[rows].amax(0)
    return joined[rows].sum(0) / (len(index) if probe.which == "all" else 1)


PROBES = Rows("last"), Rows("text"), Rows("all"), PeakRows("text"), PeakRows("visual"), HighestRows("text")


@pytest.mark.parametrize("tail", [0, 2])
@pytest.mark.parametrize("held", [0, 3])
def test_attention_is_that_of_each_prompt_alone(tail: int, held: int) -> None:
    """Padding in front, keys that are held of which some are padding, and columns behind the prompts."""
    width = 9 + tail
    query, key = drawn(3, HEADS, width, WIDTH), drawn(3, GROUPS, held + width, WIDTH, seed=1)
    real = torch.tensor([[True] * 5, [False] * 4 + [True], [True] * 5])[:, : 3 if held else 0]
    past = None if not held else torch.cat([torch.zeros(3, 2, dtype=torch.bool), real], 1)  # more than the layer holds
    signals = Signals([(probe, 4) for probe in PROBES], PROMPTS)
    signals.observe(4, INDEX, query, key, 0.3, Around(past, tail))
    assert set(signals.values[2]) == set()
    for b in (0, 1):
        n = len(INDEX[b])
        own = slice(width - tail - n, width - tail)
        keys = key[b, :, held:][:, own]
        if held:
            keys = torch.cat([key[b, :, :held][:, real[b]], keys], 1)
        weights = matrix(query[b][:, own], keys, 0.3)
        for probe in PROBES:
            found = signals.values[b][probe, 4]
            assert torch.allclose(found, on_prompt(expected(probe, b, weights, weights.shape[-1] - n), b), atol=1e-6)


def test_only_what_is_asked_of_a_layer_is_computed() -> None:
    signals = Signals([(Rows("last"), 4), (LookAhead(), 4), (Rows("all"), 5)], PROMPTS)
    query, key = drawn(3, HEADS, 9, WIDTH), drawn(3, GROUPS, 9, WIDTH)
    signals.observe(3, INDEX, query, key, 0.3)
    assert not signals.values[0]
    assert signals.wants_ahead(4, LookAhead) and not signals.wants_ahead(3, LookAhead)
    assert not signals.wants_ahead(4, KeysAhead) and not signals.wants_ahead(4, MeanQuery)
    signals.observe(4, INDEX, query, key, 0.3)
    assert set(signals.values[0]) == {(Rows("last"), 4)}
    signals.ahead(4, INDEX, query, key, 0.3, ALONE)
    assert set(signals.values[1]) == {(Rows("last"), 4), (LookAhead(), 4)} and not signals.wants_ahead(4, LookAhead)
    assert torch.equal(signals.values[1][LookAhead(), 4], signals.values[1][Rows("last"), 4])


def test_a_prompt_without_pictures_waits_for_nothing() -> None:
    assert not Signals([(LookAhead(), 4)], [TEXT]).wants_ahead(4, LookAhead)


@pytest.mark.parametrize("tail", [0, 2])
def test_keys_are_those_of_the_tokens_present(tail: int) -> None:
    key = drawn(3, GROUPS, 9 + tail, WIDTH)
    signals = Signals([(Keys(rope=True), 2), (Keys(), 2), (KeysAhead(), 2)], PROMPTS)
    signals.keys(Keys(), 2, INDEX, key, tail)
    assert set(signals.values[0]) == {(Keys(), 2)} and not signals.values[2]
    signals.keys(Keys(rope=True), 3, INDEX, key, tail)
    assert set(signals.values[0]) == {(Keys(), 2)}
    signals.observe(2, INDEX, drawn(3, HEADS, 9 + tail, WIDTH), key, 0.3, Around(tail=tail))
    signals.ahead(2, INDEX, drawn(3, HEADS, 9 + tail, WIDTH), key, 0.3, Around(tail=tail))
    for b in (0, 1):
        made = torch.zeros(PROMPTS[b].length, GROUPS, WIDTH)
        made[INDEX[b]] = key[b, :, 9 - len(INDEX[b]) : 9].transpose(0, 1)
        for probe in (Keys(), Keys(rope=True), KeysAhead()):
            assert torch.equal(signals.values[b][probe, 2], made)


@pytest.mark.parametrize("tail", [0, 2])
def test_how_far_a_layer_moves_its_tokens(tail: int) -> None:
    before, after = drawn(3, 9 + tail, 6), drawn(3, 9 + tail, 6, seed=1)
    signals = Signals([(Change(), 2)], PROMPTS)
    signals.change(3, INDEX, before, after, tail)
    assert not signals.values[0]
    signals.change(2, INDEX, before, after, tail)
    assert not signals.values[2]
    for b in (0, 1):
        moved = (after - before).square().sum(-1).sqrt()[b, 9 - len(INDEX[b]) : 9]
        assert torch.allclose(signals.values[b][Change(), 2], on_prompt(moved, b))


def test_the_mean_query_is_of_all_up_to_the_last_picture() -> None:
    """Text behind it asks nothing and gets nothing; of a prompt whose visual tokens are gone nothing is left."""
    query, key = drawn(2, HEADS, 8, WIDTH), drawn(2, GROUPS, 8, WIDTH, seed=1)
    signals = Signals([(MeanQuery(), 2)], [LONG, SHORT])
    gone = [torch.arange(8), torch.tensor([0, 3, 4])]
    signals.unturned(2, gone, query, key, 0.3, ALONE)
    asking = query[0, :, :5].mean(1, keepdim=True)
    paid = (asking @ key[0, :, :5].repeat_interleave(2, 0).mT * 0.3).softmax(-1).mean((0, 1))
    assert torch.allclose(signals.values[0][MeanQuery(), 2], torch.cat([paid, torch.zeros(3)]))
    assert signals.values[1][MeanQuery(), 2].tolist() == [0] * 5


def test_the_raters_are_found_in_what_enters_without_padding_and_tail() -> None:
    hidden = drawn(3, 11, 6)
    signals = Signals([], PROMPTS)
    signals.rate(INDEX, hidden, 2)
    assert signals.raters[2] is None
    for b in (0, 1):
        state, index = hidden[b, 9 - len(INDEX[b]) : 9], INDEX[b]
        text = PROMPTS[b].is_question[index]
        chosen = raters(state[PROMPTS[b].is_visual[index]], state[text])
        found = signals.raters[b]
        assert found is not None and found.tolist() == index[text][chosen].tolist()


def test_raters_attend_within_their_prompt() -> None:
    query, key = drawn(1, HEADS, 7, WIDTH), drawn(1, GROUPS, 7, WIDTH, seed=1)
    signals, index = Signals([(Raters(), 2)], [SHORT]), [torch.arange(5)]
    with pytest.raises(UnsupportedError, match="raters are text behind the pictures of one prompt"):
        signals.observe(2, index, query, key, 0.3)
    signals.raters = [torch.tensor([3, 4])]
    signals.observe(2, index, query, key, 0.3, Around(tail=1))
    weights = matrix(query[0, :, 1:6], key[0, :, 1:6], 0.3)
    assert torch.allclose(signals.values[0][Raters(), 2], weights[:, 3:5].mean((0, 1)), atol=1e-6)
    with pytest.raises(UnsupportedError, match="raters are text"):
        signals.observe(2, index, query[:, :, 2:], key, 0.3, Around(torch.ones(1, 2, dtype=torch.bool)))


@pytest.mark.parametrize(("window", "fits"), [(None, True), (7, True), (8, True), (6, False)])
def test_a_window_that_hides_tokens_cannot_rank_them(window: int | None, fits: bool) -> None:
    query, key, around = drawn(3, HEADS, 9, WIDTH), drawn(3, GROUPS, 9, WIDTH), Around(window=window)
    own, extra = Signals([(Rows("last"), 2)], PROMPTS), Signals([], PROMPTS)
    extra.extra = {Rows("last")}
    extra.observe(2, INDEX, query, key, 0.3, around)
    assert ((Rows("last"), 2) in extra.values[0]) is fits  # others do without
    if fits:
        own.observe(2, INDEX, query, key, 0.3, around)
        return
    with pytest.raises(UnsupportedError, match=r"layer 2 sees 6 of 7 tokens \(sliding window\)"):
        own.observe(2, INDEX, query, key, 0.3, around)


def test_what_statistics_do_not_know_is_refused() -> None:
    query, key = drawn(1, HEADS, 5, WIDTH), drawn(1, GROUPS, 5, WIDTH)
    for probe, around, said in (
        (Rows("last"), Around(weighed=True), "merged tokens are weighed in attention"),
        (
            PageRank(),
            Around(torch.ones(1, 2, dtype=torch.bool)),
            "PageRank needs the queries of the whole",
        ),
    ):
        held: Any = drawn(1, GROUPS, 7, WIDTH) if around.past is not None else key
        asked: Probe = probe  # type: ignore[assignment]
        with pytest.raises(UnsupportedError, match=said):
            Signals([(asked, 2)], [SHORT]).observe(2, [torch.arange(5)], query, held, 0.3, around)
