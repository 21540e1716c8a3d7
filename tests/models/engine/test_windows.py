"""Which layers see only a window, from the two ways in which configurations say it."""

from types import SimpleNamespace

import pytest

from winnow.models.engine.windows import (
    FULL,
    LINEAR,
    SLIDING,
    both_ways_layers,
    linear_layers,
    owners,
    readers,
    windows,
)
from winnow.reducers.core.errors import UnsupportedError


def test_layers_by_type_have_each_their_own() -> None:
    mixed = SimpleNamespace(sliding_window=8, layer_types=[SLIDING, SLIDING, FULL, SLIDING])
    assert windows(mixed, 4) == [8, 8, None, 8]
    assert windows(SimpleNamespace(sliding_window=8, layer_types=[FULL] * 2), 2) == [None, None]


def test_a_window_without_types_holds_for_every_layer() -> None:
    assert windows(SimpleNamespace(sliding_window=8), 3) == [8, 8, 8]
    assert windows(SimpleNamespace(sliding_window=8, layer_types=None), 2) == [8, 8]
    assert windows(SimpleNamespace(sliding_window=None), 2) == [None, None] == windows(SimpleNamespace(), 2)


def test_other_types_are_refused_by_name_wherever_they_stand() -> None:
    config = SimpleNamespace(sliding_window=8, layer_types=[FULL, SLIDING, "conv", "chunked_attention"])
    with pytest.raises(UnsupportedError, match=r"\['chunked_attention', 'conv'\] are not supported"):
        windows(config, 4)


def test_linear_layers_have_no_window() -> None:
    hybrid = SimpleNamespace(sliding_window=8, layer_types=[LINEAR, SLIDING, LINEAR, FULL])
    assert windows(hybrid, 4) == [None, 8, None, None]
    assert linear_layers(hybrid, 4) == {0, 2}
    assert linear_layers(SimpleNamespace(), 4) == frozenset()


@pytest.mark.parametrize(
    ("both", "sliding", "layers"), [(False, False, []), (False, True, []), (True, False, [0, 1, 2]), (True, True, [1])]
)
def test_pictures_are_seen_both_ways_in_all_layers_or_in_sliding_ones(
    both: bool, sliding: bool, layers: list[int]
) -> None:
    family = SimpleNamespace(both_ways=both, both_ways_sliding=sliding)
    assert sorted(both_ways_layers(family, [None, 4, None])) == layers


def test_the_last_layers_read_the_keys_of_the_last_of_their_type_that_has_some() -> None:
    kinds = [SLIDING, FULL, SLIDING, FULL, SLIDING, SLIDING, FULL]
    assert owners(SimpleNamespace(layer_types=kinds, num_kv_shared_layers=3), 7) == [0, 1, 2, 3, 2, 2, 3]
    assert owners(SimpleNamespace(num_kv_shared_layers=2), 4) == [0, 1, 1, 1]
    assert owners(SimpleNamespace(layer_types=kinds, num_kv_shared_layers=None), 7) == list(range(7))
    assert owners(SimpleNamespace(), 3) == [0, 1, 2]
    told = (SimpleNamespace(num_kv_shared_layers=3), SimpleNamespace(num_kv_shared_layers=None), SimpleNamespace())
    assert [*map(readers, told)] == [3, 0, 0]
