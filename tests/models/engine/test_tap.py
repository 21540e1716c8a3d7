"""What watchers of an attention are shown, and that the table is as it was behind the last of them."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from winnow.models.engine.tap import tap
from winnow.models.transformers_api import ATTENTION_TABLE, LOOKUP

QUERY, KEY, VALUE = torch.ones(1, 4, 3, 16), torch.ones(1, 2, 3, 16), torch.zeros(1, 2, 3, 16)


class Heads(nn.Module):
    """Four heads of queries on two of keys."""

    num_key_value_groups, is_causal = 2, True


def attend(module: nn.Module, **how: Any) -> Any:
    """As an attention module of transformers does."""
    return getattr(ATTENTION_TABLE, LOOKUP)("sdpa", None)(module, QUERY, KEY, VALUE, None, **how)


@pytest.mark.parametrize(("how", "scaling"), [({"scaling": 0.5}, 0.5), ({"scaling": None}, 0.25), ({}, 0.25)])
def test_a_watcher_is_shown_the_scaling_or_one_over_the_root_of_the_width(how: dict[str, Any], scaling: float) -> None:
    module, seen = Heads(), list[tuple[int, Tensor, Tensor, Tensor, float]]()
    with tap({module: 7}, lambda *shown: seen.append(shown)):
        attend(module, **how)
        attend(Heads(), **how)
    attend(module, **how)
    ((layer, query, key, value, factor),) = seen
    assert (layer, factor) == (7, scaling) and query is QUERY and key is KEY and value is VALUE


@pytest.mark.parametrize(("leave", "left"), [([0, 1], [["b"], []]), ([1, 0], [["a"], []])])
def test_watchers_share_the_table_and_leave_it_in_any_order(leave: list[int], left: list[list[str]]) -> None:
    module, seen = Heads(), list[str]()
    taps = tap({module: 1}, lambda *_: seen.append("a")), tap({module: 2}, lambda *_: seen.append("b"))
    before = vars(ATTENTION_TABLE).get(LOOKUP)
    for one in taps:
        one.__enter__()
    attend(module)
    assert seen == ["b", "a"]  # the last that came looks first: a look ahead ends before others count
    for place, watching in zip(leave, left, strict=True):
        seen.clear()
        taps[place].__exit__(None, None, None)
        attend(module)
        assert seen == watching
    assert vars(ATTENTION_TABLE).get(LOOKUP) is before
