"""The command `winnow`: runs sweeps, looks at finished runs, checks and calibrates methods."""

from __future__ import annotations

import re
import sys
from typing import Annotated, Any, NoReturn

import typer

from winnow.harness.cli.commands import doctor, evaluate, look, methods, sweep
from winnow.harness.cli.commands.audit import app as audit
from winnow.harness.cli.commands.data import app as data
from winnow.harness.cli.commands.figures import figures
from winnow.harness.cli.commands.frames import frames
from winnow.harness.cli.commands.judge import judge
from winnow.harness.common.exits import INTERRUPTED, OK, USER_ERROR
from winnow.harness.common.ours import check_ours
from winnow.harness.common.plain import visible
from winnow.reducers.core.errors import WinnowError, choose

USAGE: Any = typer.BadParameter.__bases__[0]
"""What typer raises for words that no command takes; it has no name of its own there."""

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)
for part in (evaluate, sweep, look, methods, doctor):
    app.add_typer(part.commands)
app.add_typer(data, name="data")
app.add_typer(audit, name="audit")
app.command()(judge)
app.command()(figures)
app.command()(frames)


def _print_versions(asked: bool) -> None:
    if asked:
        from winnow.harness.run.environment import versions

        print("\n".join(f"{name} {version or 'is not installed'}" for name, version in versions().items()))
        raise typer.Exit


@app.callback()
def winnow(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_versions, is_eager=True, help="Of all that answers depend on.")
    ] = False,
) -> None:
    """Run cells and sweeps, look at finished runs, check methods; `python run.py --help` lists the settings."""


def main() -> None:
    """Run the command line; a mistake in the input is one line and exit code 2."""
    try:
        check_ours()
        sys.exit(app(standalone_mode=False) or OK)
    except WinnowError as error:
        _fail(str(error))
    except USAGE as error:
        if len(sys.argv) == 1:
            error.show()
            sys.exit(USER_ERROR)
        said = " ".join(error.format_message().replace("Value error, ", "").split())
        _fail(_choice(said) or f"{said} (--help lists what there is)")
    except OSError as error:
        if error.filename is None:
            raise
        _fail(f"cannot open {error.filename}: {error.strerror}")
    except typer.Abort:
        print("interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)


def _choice(said: str) -> str:
    """One line for an option's value that is not among its choices; nothing for other mistakes."""
    found = re.search(r"'(--[\w-]+)'.*?: .*?'(.*)' is not one of (.*?)\.", said)
    choices = [*filter(None, re.findall(r"'(.*?)'", found[3]))] if found else []
    return f"{found[1]} {found[2]} is not allowed: {choose(found[2], choices)}" if found else ""


def _fail(message: str) -> NoReturn:
    print("error:", visible(message, keep="\n"), file=sys.stderr)
    sys.exit(USER_ERROR)


if __name__ == "__main__":
    main()
