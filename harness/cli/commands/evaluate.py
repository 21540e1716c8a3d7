"""`winnow eval`: what `run.py` does, where there is no checkout."""

from __future__ import annotations

from typing import Annotated

import typer

commands = typer.Typer()
PASSED_ON = {"ignore_unknown_options": True, "help_option_names": []}
"""Every flag, --help included, goes to the program behind `run.py`."""


def _complete(incomplete: str) -> list[str]:
    """Complete a group, or one of its choices."""
    from winnow.harness.config.choices import options
    from winnow.harness.config.schema import GROUPS

    group, chosen, _ = incomplete.partition("=")
    words = [f"{group}={choice}" for choice in options(group)] if chosen else [f"{name}=" for name in GROUPS]
    return [word for word in words if word.startswith(incomplete)]


@commands.command("eval", context_settings=PASSED_ON)
def evaluate(
    words: Annotated[
        list[str] | None, typer.Argument(help="Overrides, and run.py's flags.", autocompletion=_complete)
    ] = None,
) -> None:
    """Run one cell, or with -m a sweep, exactly as `python run.py` does; --help lists the settings."""
    from winnow.harness.cli.run import main

    raise typer.Exit(main(words or []))
