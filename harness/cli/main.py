"""The command `winnow`: runs sweeps, looks at finished runs, checks and calibrates methods."""

from __future__ import annotations

import sys
from typing import Any, NoReturn

import typer

from winnow.harness.cli.commands import look, methods, sweep
from winnow.harness.cli.commands.data import app as data
from winnow.harness.cli.commands.figures import figures
from winnow.harness.cli.commands.judge import judge
from winnow.harness.common.exits import INTERRUPTED, OK, USER_ERROR
from winnow.reducers.core.errors import WinnowError

USAGE: Any = typer.BadParameter.__bases__[0]
"""What typer raises for words that no command takes; it has no name of its own there."""

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
for part in (sweep, look, methods):
    app.add_typer(part.commands)
app.add_typer(data, name="data")
app.command()(judge)
app.command()(figures)


@app.callback()
def winnow() -> None:
    """Run sweeps, look at finished runs, check methods; `python run.py --help` lists the settings."""


def main() -> None:
    """Run the command line; a mistake in the input is one line and exit code 2."""
    try:
        sys.exit(app(standalone_mode=False) or OK)
    except WinnowError as error:
        _fail(str(error))
    except USAGE as error:
        if len(sys.argv) == 1:
            error.show()
            sys.exit(USER_ERROR)
        _fail(f"{' '.join(error.format_message().replace('Value error, ', '').split())} (--help lists what there is)")
    except OSError as error:
        if error.filename is None:
            raise
        _fail(f"cannot open {error.filename}: {error.strerror}")
    except typer.Abort:
        print("interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)


def _fail(message: str) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(USER_ERROR)


if __name__ == "__main__":
    main()
