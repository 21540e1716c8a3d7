"""The program behind `run.py`: composes cells, runs them, turns errors into a line and an exit code."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path

from hydra import version
from hydra._internal.utils import _run_hydra, get_args_parser
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from winnow import configs
from winnow.harness.common.exits import INTERRUPTED, OK, USER_ERROR, RunFailedError
from winnow.harness.common.lazy_import import import_later
from winnow.harness.common.ours import check_ours
from winnow.harness.common.plain import visible
from winnow.harness.common.process import settle
from winnow.harness.config.expand import expand
from winnow.harness.config.messages import one_line
from winnow.harness.config.schema import register
from winnow.reducers.core.errors import WinnowError

PRINTING = ("help", "hydra_help", "cfg", "info", "shell_completion")
"""Flags that only print something, which is left to Hydra."""
REFUSED = ("config_path", "config_name", "experimental_rerun")


def main(words: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; return the exit code.

    Parameters
    ----------
    words : sequence of str or None
        The words of the command line; None: those of this process.
    """
    settle()
    try:
        check_ours()
        parser = get_args_parser()
        args = parser.parse_args(words)
        return _print(args, parser) if any(getattr(args, name) for name in PRINTING) else _run(args)
    except RunFailedError as error:
        return _fail(str(error), error.code)
    except WinnowError as error:
        return _fail(str(error), USER_ERROR)
    except OSError as error:
        if error.filename is None:
            raise
        return _fail(
            f"cannot write {error.filename}: {error.strerror}; choose another folder with results=…", USER_ERROR
        )
    except (HydraException, OmegaConfBaseException) as error:
        return _fail(one_line(error), USER_ERROR)
    except KeyboardInterrupt:
        return _fail("interrupted; what was answered is kept: run the same command again to go on", INTERRUPTED)


def _print(args: Namespace, parser: ArgumentParser) -> int:
    """Let Hydra print its help, a configuration or what completes a word."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # lets errors through to the handlers here instead of Hydra's own printing
    version.setbase("1.3")
    register()
    _run_hydra(args, parser, lambda config: None, str(configs.FOLDER), "config")
    return OK


def _run(args: Namespace) -> int:
    for name in REFUSED:
        if getattr(args, name):
            flag = f"--{name.replace('_', '-')}"
            raise WinnowError(f"{flag} is not for Winnow: add a folder of your own YAMLs with --config-dir")
    import_later("torch")  # a mistake is told without it, in a second
    more = [f"hydra.searchpath=[file://{Path(args.config_dir).absolute()}]"] if args.config_dir else []
    asked = expand([*args.overrides, *more], args.multirun)
    if asked.launcher:
        from winnow.harness.sweep.launch import launch

        return launch(asked)
    from winnow.harness.sweep.cells import cells_of

    cells = cells_of(asked)
    if not cells:
        return OK
    from winnow.harness.sweep.in_process import run

    return run(cells)


def _fail(message: str, code: int) -> int:
    text = visible(message, keep="\n")
    print(f"error: {text}" if code == USER_ERROR else text, file=sys.stderr)
    return code
