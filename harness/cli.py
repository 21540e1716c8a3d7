"""The command `winnow`: looks at finished runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from harness.exits import USER_ERROR
from harness.tables import Format, Result
from reducers.errors import WinnowError

RESULTS = Path("results/runs")

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def winnow() -> None:
    """Look at finished runs; `python run.py --help` tells how to make some."""


@app.command()
def tables(
    form: Annotated[Format, typer.Option("--format", help="How to print it.")] = "rich",
    results: Annotated[Path, typer.Option(help="Folder of the runs.")] = RESULTS,
    outdated: Annotated[bool, typer.Option("--all", help="Also runs of older code, versions or data.")] = False,
) -> None:
    """Print the table of all runs."""
    from harness.store import results_below
    from harness.tables import show

    show(_some(results_below(results, outdated), results), results, form)


@app.command()
def plot(
    out: Annotated[Path, typer.Option(help="Picture to draw: .png, .svg or .pdf.")],
    results: Annotated[Path, typer.Option(help="Folder of the runs.")] = RESULTS,
    task: Annotated[str | None, typer.Option(help="Task to draw, if the runs hold several.")] = None,
    model: Annotated[str | None, typer.Option(help="Model to draw, if the runs hold several.")] = None,
) -> None:
    """Draw accuracy against the mean share of visual tokens, one curve per method."""
    from harness.plots import draw
    from harness.store import results_below

    draw(_some(results_below(results), results), out, task, model)
    print(out)


def _some(found: list[Result], folder: Path) -> list[Result]:
    if not found:
        raise WinnowError(f"there are no runs in {folder}: make some with run.py, or say --results FOLDER")
    return found


def main() -> None:
    """Run the command line; a mistake in the input is one line and exit code 2."""
    try:
        app()
    except WinnowError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(USER_ERROR)


if __name__ == "__main__":
    main()
