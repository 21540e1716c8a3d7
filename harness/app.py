"""The program behind `run.py`: composes cells with Hydra, runs them, turns errors into a line and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

import configs
from harness.config.cell import Cell
from harness.config.compose import compose
from harness.config.messages import one_line
from harness.config.schema import register
from harness.exits import INTERRUPTED, OK, USER_ERROR, RunFailedError
from reducers.errors import WinnowError

_noted: list[Callable[[], list[Cell]]] = []


def job(config: DictConfig) -> None:
    """Take one configuration: note it for later, or run it in place where the launcher is a remote one."""
    hydra_config = HydraConfig.get()
    note(config, hydra_config.runtime.choices, hydra_config.overrides.task)
    if hydra_config.mode == RunMode.MULTIRUN:
        code = _run([*chain(*noted())])
        if code:
            raise RunFailedError(f"a run with reducer={hydra_config.runtime.choices.reducer} did not complete", code)


def note(config: DictConfig, choices: Mapping[str, Any], words: Sequence[str]) -> None:
    """Note what is to be run, for later.

    Cells of a sweep in this process run together afterwards, so that they share the loaded model and each document is
    decoded and encoded once.

    Parameters
    ----------
    config : DictConfig
        As Hydra composed it: one cell, or a table.
    choices : mapping
        The option chosen of each group.
    words : sequence of str
        The overrides that led to it.
    """
    if not config.table:
        _noted.append(lambda: [compose(config, str(choices["reducer"]))])
        return
    from harness.paper.cells import expand

    name, given = str(choices["experiment"]), list(words)
    _noted.append(lambda: [compose(*one) for one in expand(config, name, given)])


def noted() -> list[list[Cell]]:
    """The cells of each thing that was noted; the notes are forgotten."""
    notes = [*_noted]
    _noted.clear()
    return [cells() for cells in notes]


def cells_of(overrides: Sequence[str]) -> list[Cell]:
    """Expand overrides into cells, as a sweep of `run.py -m` does, without running any.

    Raises
    ------
    WinnowError
        For mistakes in the overrides.
    """
    given = sys.argv
    sys.argv = ["winnow", *overrides, "hydra/launcher=basic", "--multirun"]
    try:
        return _compose_all()
    except (HydraException, OmegaConfBaseException) as error:
        raise WinnowError(one_line(error)) from error
    finally:
        sys.argv = given


def _compose_all() -> list[Cell]:
    """Let Hydra go over the command line, and note what it asks for."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # lets errors through to the handlers here instead of Hydra's own printing
    _noted.clear()
    register()
    hydra.main(config_path=str(configs.FOLDER), config_name="config", version_base="1.3")(job)()
    return [*chain(*noted())]


def main() -> int:
    """Run what the command line asks for; return the exit code."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that spin make a shared machine four times slower
    try:
        return _run(_compose_all())
    except RunFailedError as error:
        return _fail(str(error), error.code)
    except WinnowError as error:
        return _fail(str(error), USER_ERROR)
    except (HydraException, OmegaConfBaseException) as error:
        return _fail(one_line(error), USER_ERROR)
    except OSError as error:
        if error.filename is None:
            raise
        return _fail(
            f"cannot write {error.filename}: {error.strerror}; choose another folder with results=…", USER_ERROR
        )
    except KeyboardInterrupt:
        return _fail("interrupted; what was answered is kept: run the same command again to go on", INTERRUPTED)


def _run(cells: list[Cell]) -> int:
    if not cells:
        return OK
    from harness.run.runner import run

    return run(cells)


def _fail(message: str, code: int) -> int:
    print(f"error: {message}" if code == USER_ERROR else message, file=sys.stderr)
    return code
