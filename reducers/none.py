"""No reduction: the base model, measured through the same code."""

from __future__ import annotations

from dataclasses import dataclass

from winnow.reducers.core.base import Reducer


@dataclass(frozen=True)
class NoReduction(Reducer):
    """Keep every visual token."""
