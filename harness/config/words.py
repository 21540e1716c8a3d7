"""Composes a cell from words as `run.py` takes them, for commands that run nothing."""

from __future__ import annotations

from collections.abc import Sequence

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

import configs
from harness.config.cell import Cell
from harness.config.compose import compose
from harness.config.messages import one_line
from harness.config.schema import register
from reducers.errors import WinnowError

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
    register()
    try:
        with initialize_config_dir(str(configs.FOLDER), version_base="1.3"):
            return compose(hydra_compose("config", list(words)), chosen[-1] if chosen else "none")
    except (HydraException, OmegaConfBaseException) as error:
        raise WinnowError(one_line(error)) from error
