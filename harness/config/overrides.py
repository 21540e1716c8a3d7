"""Composes a cell from words as `run.py` takes them, for commands that run nothing."""

from __future__ import annotations

from collections.abc import Sequence

from hydra import compose as hydra_compose

from winnow.harness.config.cell import Cell
from winnow.harness.config.compose import compose
from winnow.harness.config.hydra_api import hydra
from winnow.harness.config.run_names import named
from winnow.reducers.core.errors import WinnowError

REDUCER = "reducer="


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
    chosen = [word.removeprefix(REDUCER) for word in words if word.startswith(REDUCER)]
    with hydra():
        return compose(hydra_compose("config", named(words)), chosen[-1] if chosen else "none")
