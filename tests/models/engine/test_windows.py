"""Which layers see only a window, from the two ways in which configurations say it."""

from types import SimpleNamespace

import pytest

from winnow.models.engine.windows import windows
from winnow.reducers.core.errors import UnsupportedError

FULL, SLIDING = "full_attention", "sliding_attention"


def test_layers_by_type_have_each_their_own() -> None:
    mixed = SimpleNamespace(sliding_window=8, layer_types=[SLIDING, SLIDING, FULL, SLIDING])
    assert windows(mixed, 4) == [8, 8, None, 8]
    assert windows(SimpleNamespace(sliding_window=8, layer_types=[FULL] * 2), 2) == [None, None]


def test_a_window_without_types_holds_for_every_layer() -> None:
    assert windows(SimpleNamespace(sliding_window=8), 3) == [8, 8, 8]
    assert windows(SimpleNamespace(sliding_window=8, layer_types=None), 2) == [8, 8]
    assert windows(SimpleNamespace(sliding_window=None), 2) == [None, None] == windows(SimpleNamespace(), 2)


def test_other_types_are_refused_by_name_wherever_they_stand() -> None:
    config = SimpleNamespace(sliding_window=8, layer_types=[FULL, SLIDING, "linear_attention", "chunked_attention"])
    with pytest.raises(UnsupportedError, match=r"\['chunked_attention', 'linear_attention'\] are not supported"):
        windows(config, 4)
