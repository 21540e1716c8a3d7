"""Composes a cell from words as `run.py` takes them, for commands that run nothing."""

from __future__ import annotations

from collections.abc import Sequence

from winnow.harness.config.cell import Cell
from winnow.harness.config.compose import cell_at
from winnow.harness.config.expand import each
from winnow.harness.config.hydra_api import hydra
from winnow.reducers.core.errors import WinnowError


def cell_from(words: Sequence[str]) -> Cell:
    """Compose a cell.

    Parameters
    ----------
    words : sequence of str
        Overrides, ``name=value``.

    Raises
    ------
    WinnowError
        For what is no override, and for unknown keys and values.
    """
    for word in words:
        if "=" not in word:
            raise WinnowError(f"'{word}' is not allowed here: give name=value, as run.py takes it")
    with hydra():  # turns the errors of setting values into ours
        return cell_at(each([words])[0], {})
