"""`winnow eval`: what `run.py` does, where there is no checkout."""

from __future__ import annotations

from typing import Annotated

import typer

from winnow.harness.cli.completion import complete

commands = typer.Typer()
PASSED_ON = {"ignore_unknown_options": True, "help_option_names": []}
"""Every flag, --help included, goes to the program behind `run.py`."""


@commands.command("eval", context_settings=PASSED_ON)
def evaluate(
    words: Annotated[
        list[str] | None, typer.Argument(help="Overrides, and run.py's flags.", autocompletion=complete)
    ] = None,
) -> None:
    """Run one cell, or with -m a sweep, exactly as `python run.py` does; --help lists the settings."""
    from winnow.harness.cli.run import main

    raise typer.Exit(main(words or []))
