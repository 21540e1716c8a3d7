"""Holds sorts to an order of equal values: what is left to chance differs from device to device."""

from collections.abc import Iterator
from typing import Any

import pytest
from torch import Tensor

SORT, ARGSORT = Tensor.sort, Tensor.argsort


class Sorted:
    """What an unstable sort gives: values, and places that nobody may look at where values are equal."""

    def __init__(self, values: Tensor, indices: Tensor, dim: int) -> None:
        self.values, self._indices, self._dim = values, indices, dim

    @property
    def indices(self) -> Tensor:
        assert not bool((self.values.diff(dim=self._dim) == 0).any()), "equal values are sorted without stable=True"
        return self._indices

    def __iter__(self) -> Iterator[Tensor]:
        yield self.values
        yield self.indices


def _sort(self: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Any:
    found: Any = SORT(self, dim=dim, descending=descending, stable=stable)
    return found if stable else Sorted(found.values, found.indices, dim)


def _argsort(self: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Tensor:
    indices: Tensor = _sort(self, dim, descending, stable).indices
    return indices


@pytest.fixture(autouse=True, scope="module")
def equal_values_have_an_order() -> Iterator[None]:
    """In every test of methods."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Tensor, "sort", _sort)
        patch.setattr(Tensor, "argsort", _argsort)
        yield
