"""The command `winnow`: looks at finished runs, and checks methods."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from harness.exits import INCOMPLETE, USER_ERROR
from harness.tables import Format, Result
from reducers.errors import WinnowError

RESULTS = Path("results/runs")

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def winnow() -> None:
    """Look at finished runs, and check methods; `python run.py --help` tells how to run something."""


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


@app.command()
def check(
    target: Annotated[str, typer.Argument(help="The method, as their.package:Class.")],
    options: Annotated[
        list[str] | None,
        typer.Option("--arg", help="A field of it, e.g. --arg ratio=0.25 --arg schedule.kind=k --arg schedule.k=2."),
    ] = None,
    layers: Annotated[int, typer.Option(help="Depth of the tiny models that it is tried on.")] = 8,
) -> None:
    """Hold a method of your own to the invariants, on tiny models of every family; exit code 1 if it breaks one."""
    import torch

    from harness.check import check as findings
    from harness.check import make, report

    torch.set_num_threads(1)  # tiny models are faster on one
    reducer = make(target, options or [])
    if report(reducer, list(findings(reducer, layers))):
        raise typer.Exit(INCOMPLETE)


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
