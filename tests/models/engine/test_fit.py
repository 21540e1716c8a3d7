"""Masks and rotary embeddings once tokens are gone: what each layer gets, and what is made once for several."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import DynamicCache

from winnow.models.engine.fit import Fit
from winnow.models.engine.forward import Forward
from winnow.models.engine.ledger import Held, Ledger
from winnow.models.engine.prefill import Prefill
from winnow.models.engine.sequence import Stage
from winnow.models.transformers_api import SHARED
from winnow.reducers.core.errors import UnsupportedError
from winnow.reducers.core.layout import Layout
from winnow.reducers.none import NoReduction

COS, SIN = torch.arange(10.0).view(1, 5, 2), 10 + torch.arange(10.0).view(1, 5, 2)


class Plain(nn.Module):
    """Turns every token by its position."""

    def forward(self, hidden: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        return positions[..., None].float(), -positions[..., None].float()


class Typed(nn.Module):
    """By the layer's type as well."""

    def forward(self, hidden: Tensor, positions: Tensor, layer_type: str) -> tuple[Tensor, str]:
        return positions[..., None].float(), layer_type


def fit(rotary: nn.Module | None = None, windows: tuple[int | None, ...] = (None, None, 2), **more: Any) -> Fit:
    config = SimpleNamespace(_attn_implementation="sdpa", layer_types=["full", "full", "sliding"])
    parts: Any = SimpleNamespace(llm=SimpleNamespace(config=config, rotary_emb=rotary or Plain()))
    return Fit(parts, windows, **more)


def held(*columns: int, shift: int | None = None, added: list[float] | None = None) -> Held:
    made = torch.tensor([columns])
    return Held(
        made, torch.ones_like(made, dtype=torch.bool), None if shift is None else torch.tensor([shift]),
        None if added is None else torch.tensor([added]),
    )  # fmt: skip


def stage(*columns: int, **more: Any) -> Stage:
    made = torch.tensor([columns])
    return Stage(made, torch.ones_like(made, dtype=torch.bool), **more)


def prompt(ledger: Ledger, new: int = 5, mask: list[int] | None = None, layout: Layout | None = None) -> Forward:
    prefill = Prefill(NoReduction(), [layout or Layout(new)], new, ledger.depth)
    return Forward(ledger, new, None if mask is None else torch.tensor([mask]), False, prefill)


def books(width: int = 0, *rows: Held | None) -> Ledger:
    return Ledger("me", 3, width=width, batch=1, held=list(rows))


def test_a_layer_that_sees_all_that_came_before_is_causal() -> None:
    assert [fit(both_ways={1}).causal(layer) for layer in range(3)] == [True, False, False]


def test_rotary_embeddings_are_gathered_where_positions_stay() -> None:
    made, own = prompt(books()), fit()
    assert made.prefill is not None
    made.prefill.stages = [(1, stage(0, 2, 4))]
    kwargs = {"position_embeddings": (COS, SIN)}
    assert own.rotary(made, 0, torch.zeros(1, 5, 2), kwargs) == (COS, SIN)
    cos, sin = own.rotary(made, 1, torch.zeros(1, 3, 2), kwargs)
    assert torch.equal(cos, COS[:, [0, 2, 4]]) and torch.equal(sin, SIN[:, [0, 2, 4]])
    assert own.rotary(made, 2, torch.zeros(1, 3, 2), kwargs) == (cos, sin)  # made once
    other = own.rotary(made, 2, torch.zeros(1, 3, 2), {"position_embeddings": (COS + 1, SIN)})
    assert torch.equal(other[0], COS[:, [0, 2, 4]] + 1)  # of layers that turn unlike


def test_rotary_embeddings_are_made_where_positions_move() -> None:
    made = prompt(books())
    assert made.prefill is not None
    made.prefill.stages = [(1, stage(0, 2, 4, positions=torch.tensor([[7, 8, 9]])))]
    kwargs = {"position_embeddings": (COS, SIN)}
    cos, sin = fit().rotary(made, 1, torch.zeros(1, 3, 2), kwargs)
    assert cos.flatten().tolist() == [7, 8, 9] and sin.flatten().tolist() == [-7, -8, -9]
    made.known.clear()
    told: Any = fit(Typed()).rotary(made, 2, torch.zeros(1, 3, 2), kwargs)
    assert told[1] == "sliding"


def mask(own: Fit, made: Forward, layer: int, tokens: int, given: Tensor | None = None) -> Any:
    return own.mask(made, layer, torch.zeros(1, tokens, 2), {"attention_mask": given})


def test_masks_of_a_prompt_with_padding() -> None:
    made, own = prompt(books(), 3, [0, 1, 1], Layout(2)), fit()
    full = mask(own, made, 0, 3)
    assert full[0, 0].int().tolist() == [[1, 0, 0], [0, 1, 0], [0, 1, 1]]
    assert mask(own, made, 1, 3) is full and mask(own, made, 2, 3) is not full
    assert mask(own, prompt(books(), 3), 0, 3) is None


def test_a_sliding_layer_closes_what_left_its_window() -> None:
    made, own = prompt(books(), 4), fit()
    assert mask(own, made, 2, 4)[0, 0].int().tolist() == [[1, 0, 0, 0], [1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]]
    assert mask(own, made, 1, 4) is None


def test_keys_are_those_that_the_cache_holds() -> None:
    """The sliding layer holds its last key alone, though the books know three."""
    cache = DynamicCache()
    for layer, length in enumerate((3, 3, 1)):
        cache.update(torch.zeros(1, 1, length, 2), torch.zeros(1, 1, length, 2), layer)
    made, own = Forward(books(3), 2, None, False), fit()
    made.cache = cache
    assert mask(own, made, 2, 2)[0, 0].int().tolist() == [[1, 1, 0], [0, 1, 1]]
    assert mask(own, made, 1, 2)[0, 0].int().tolist() == [[1, 1, 1, 1, 0], [1] * 5]


def test_pictures_are_seen_both_ways_in_prefill_alone() -> None:
    layout, own = Layout.of(4, (1, (1, 1, 2))), fit(both_ways={0})
    seen = mask(own, prompt(books(), 4, None, layout), 0, 4)
    assert seen[0, 0].int().tolist() == [[1, 0, 0, 0], [1, 1, 1, 0], [1, 1, 1, 0], [1, 1, 1, 1]]
    assert mask(own, prompt(books(), 4, None, layout), 1, 4) is None
    assert mask(own, Forward(books(3), 1, None, False), 0, 1) is None


def test_a_state_is_told_of_padding_in_front_of_a_prompt() -> None:
    own = fit(linear={1})
    assert mask(own, prompt(books(), 3, [0, 1, 1], Layout(2)), 1, 3).tolist() == [[0, 1, 1]]
    assert mask(own, prompt(books(), 3), 1, 3) is None
    assert mask(own, Forward(books(2), 1, torch.tensor([[0, 1, 1]]), False), 1, 1) is None
    with pytest.raises(UnsupportedError, match="padding behind a cached prompt"):
        mask(own, Forward(books(2), 2, torch.tensor([[1, 1, 0, 1]]), False), 1, 2)


def test_what_stands_around_a_prompt() -> None:
    own, first = fit(), prompt(books())
    found = own.around(first, 2)
    assert (found.past, found.tail, found.window, found.rotary, found.weighed) == (None, 0, 2, None, False)
    later = prompt(books(3, held(0, 2), None, held(0, added=[0.5])), 2, [1, 1, 0, 1, 1])
    assert own.around(later, 0).past.tolist() == [[True, False]]  # type: ignore[union-attr]
    assert own.around(later, 1).past.tolist() == [[True, True, False]] and not own.around(later, 1).weighed  # type: ignore[union-attr]
    assert own.around(later, 2).weighed
    assert later.prefill is not None
    later.prefill.stages = [(1, stage(0, 1, added=torch.zeros(1, 2)))]
    assert own.around(later, 1).weighed and not own.around(later, 0).weighed


def test_a_layer_that_reads_anothers_keys_sees_those_that_it_has_left_itself() -> None:
    """Layer 2 reads what layer 1 stores, and has lost the second of three tokens in between."""
    made = prompt(books(), 3)
    assert made.prefill is not None
    made.prefill.stages = [(2, stage(0, 2))]
    own = fit(windows=(None, None, None), owners=(0, 1, 1))
    assert own.readers == {2} and fit().readers == frozenset()
    shared = {"full": (torch.zeros(1, 1, 3, 2),), "sliding": (torch.zeros(1, 1, 3, 2),)}
    seen = own.mask(made, 2, torch.zeros(1, 2, 2), {"attention_mask": None, SHARED: shared})
    assert seen is not None and seen[0, 0].int().tolist() == [[1, 0, 0], [1, 0, 1]]
