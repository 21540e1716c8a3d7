"""The program behind `run.py`: composes cells with Hydra, runs them, turns errors into a line and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence

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
    """Take one configuration: note it for later, or run it in place where the launcher is a remote one.

    Cells of a sweep in this process run together afterwards, so that they share the loaded model and each document is
    decoded and encoded once.
    """
    hydra_config = HydraConfig.get()
    reducer = hydra_config.runtime.choices["reducer"]
    if hydra_config.mode == RunMode.MULTIRUN and not hydra_config.launcher._target_.endswith("BasicLauncher"):
        code = _run(_cells_of(config, reducer)())
        if code:
            raise RunFailedError(f"a run with reducer={reducer} did not complete", code)
    else:
        _noted.append(_cells_of(config, reducer))


def _cells_of(config: DictConfig, reducer: str) -> Callable[[], list[Cell]]:
    """What gives the cells of one job: those of a table, or the one that it is."""
    if not config.table:
        return lambda: [compose(config, reducer)]
    from harness.paper.cells import expand

    chosen = HydraConfig.get()
    name, words = str(chosen.runtime.choices["experiment"]), list(chosen.overrides.task)
    return lambda: [compose(*one) for one in expand(config, name, words)]


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
    return [cell for cells in _noted for cell in cells()]


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
