"""Commands of `winnow` that look at finished runs: tables, pictures, reports, comparisons."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from winnow.harness.cli.completion import complete
from winnow.harness.common.console import Format
from winnow.harness.common.exits import INCOMPLETE, OK
from winnow.harness.common.lazy_import import import_later
from winnow.harness.results.paper.formats import Form
from winnow.harness.run.result import Result
from winnow.reducers.core.errors import WinnowError

RESULTS = Path("results/runs")
What = Literal["retention", "flops", "kv", "ttft", "layers", "schedules"]

Trust = Annotated[bool, typer.Option("--trust", help="Execute what runs name, though Winnow does not know it.")]

commands = typer.Typer()


@commands.command()
def tables(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="Tables of the papers (aim_poster_video, ...), with the overrides of their runs, as smoke=true."
        ),
    ] = None,
    form: Annotated[Form, typer.Option("--format", help="How to print it.")] = "rich",
    results: Annotated[Path, typer.Option(help="Folder of the runs.")] = RESULTS,
    outdated: Annotated[bool, typer.Option("--all", help="Also runs of older code, versions or data.")] = False,
    columns: Annotated[str, typer.Option(help="Of the table, in this order: reducer,ratio,mean,pico_video.")] = "",
    sort: Annotated[str, typer.Option(help="Column of --format csv; a minus before it: falling.")] = "",
    where: Annotated[
        list[str] | None, typer.Option(help="Condition on such columns, may be repeated: reducer=fastv, mean<0.5.")
    ] = None,
    pivot: Annotated[Literal["", "task"], typer.Option(help="task: a row per method, a column per task.")] = "",
    out: Annotated[Path | None, typer.Option(help="Write the numbers, a row a run and task: .csv, .parquet.")] = None,
) -> None:
    """Print the table of all runs, or tables of the papers: ours beside the printed numbers.

    On a terminal columns that do not fit follow below. --format csv and --out hold numbers, one row a run and task.
    """
    from winnow.harness.results.tables.runs import View, show
    from winnow.harness.run.result import newest, results_below

    _check_options(bool(names), out is not None, columns=columns, pivot=pivot, sort=sort, where=where, out=out)
    every = results_below(results, outdated=True)
    found = every if outdated else newest(every)
    if names:
        from winnow.harness.cli.commands.tables import show_tables

        show_tables(names, found, results, form)
    elif out is not None:
        from winnow.harness.results.tables.tidy import save

        save(_some(found, results), results, out, where or (), sort)
    else:
        wanted = tuple(name.strip() for name in columns.split(",") if name.strip())
        show(_some(found, results), results, form, View(wanted, sort, where or (), pivot == "task"))
    hidden = len(every) - len(found)
    if hidden:
        runs, them = ("run", "it") if hidden == 1 else ("runs", "them")
        print(f"{hidden} {runs} of older code hidden, --all shows {them}", file=sys.stderr)


def _check_options(papers: bool, to_file: bool, **given: object) -> None:
    """Refuse options that what is asked for has no use for."""
    for name in (name for name, value in given.items() if value):
        if papers:
            raise WinnowError(f"--{name} is for your own runs: a paper's table has its own rows and columns")
        if to_file and name in ("columns", "pivot"):
            raise WinnowError(
                f"--{name} is for tables that are printed: --out writes all columns, a row a run and task"
            )


@commands.command()
def view(
    run: Annotated[str, typer.Argument(help="The run: its id, or the beginning of it.")],
    sample: Annotated[str, typer.Option(help="Which sample: task/number, or number in a run of one task.")],
    out: Annotated[Path, typer.Option(help="Picture to draw: .png, .svg or .pdf.")] = Path("view.png"),
    results: Annotated[Path, typer.Option(help="Folder of the runs.")] = RESULTS,
    attention: Annotated[
        bool, typer.Option(help="The text's attention to each frame instead; loads the model.")
    ] = False,
    trust: Trust = False,
) -> None:
    """Draw the tokens that a method kept of one sample on its frames, layer by layer; merged ones share a colour."""
    from winnow.harness.cli.commands.view import view

    view(run, sample, out, results, attention, trust)
    print(out)


@commands.command()
def report(
    tables: Annotated[
        list[str] | None, typer.Argument(help="Tables of the papers to hold, with the overrides of their runs.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Page to write.")] = Path("results/report.html"),
    results: Annotated[Path, typer.Option(help="Folder of the runs.")] = RESULTS,
    samples: Annotated[int, typer.Option(help="Questions per task and model to browse.")] = 200,
    pictures: Annotated[int, typer.Option(help="Samples with pictures of their tokens.")] = 6,
    trust: Trust = False,
) -> None:
    """Write one HTML page that needs nothing else: tables, plots, run details, samples with token pictures."""
    from winnow.harness.cli.commands.tables import tables_of
    from winnow.harness.results.report.write import write

    found = _some(results_of(results), results)
    write(found, results, out, tables_of(tables, found, results) if tables else (), samples, pictures, trust)
    print(out)


@commands.command()
def compare(
    first: Annotated[str, typer.Argument(help="A run, or a folder of runs.")],
    second: Annotated[str, typer.Argument(help="Another one.")],
    form: Annotated[Format, typer.Option("--format", help="How to print it.")] = "rich",
    results: Annotated[Path, typer.Option(help="Folder of the runs.")] = RESULTS,
) -> None:
    """Compare two runs, or the runs of equal settings in two stores: agreement by sample, difference, noise or not."""
    from winnow.harness.common.console import print_table
    from winnow.harness.results.exchange.compare import compared

    print_table(
        compared(first, second, results), form, left=("model", "method", "task", "verdict"), keys=("method", "task")
    )


@commands.command("export")
def export_(
    out: Annotated[Path, typer.Argument(help="File to write: .parquet or .csv; with --full a .zip.")],
    results: Annotated[Path, typer.Option(help="Folder of the runs.")] = RESULTS,
    runs: Annotated[list[str] | None, typer.Argument(help="Runs; by default all that are finished.")] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Answers, configuration, environment, versions, commands, tables as well.")
    ] = False,
) -> None:
    """Write finished runs with their scores to one file."""
    from winnow.harness.results.exchange.archive import write

    print(f"{out}: {write(results, out, runs or (), full)} runs")


@commands.command("import")
def import_(
    path: Annotated[Path, typer.Argument(help="File that `winnow export` wrote.")],
    results: Annotated[Path, typer.Option(help="Folder that the runs go to.")] = RESULTS,
) -> None:
    """Make runs of an exported file, to stand in tables and comparisons; runs that are there stay."""
    from winnow.harness.results.exchange.archive import read

    new, bad = read(path, results)
    for line in bad:
        print(line, file=sys.stderr)
    print(f"{results}: {len(new)} new runs")
    raise typer.Exit(INCOMPLETE if bad else OK)


@commands.command()
def plot(
    out: Annotated[Path, typer.Option(help="Picture to draw: .png, .svg or .pdf.")],
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            help="Runs to draw, all where none is named; of schedules: overrides, as run.py -m takes them.",
            autocompletion=complete,
        ),
    ] = None,
    results: Annotated[Path, typer.Option(help="Folder of the runs.")] = RESULTS,
    task: Annotated[str | None, typer.Option(help="Task to draw, if the runs hold several.")] = None,
    model: Annotated[str | None, typer.Option(help="Model to draw, if the runs hold several.")] = None,
    x: Annotated[
        What, typer.Option(help="Accuracy against this; layers, schedules: where tokens go, and were planned to.")
    ] = "retention",
    width: Annotated[Literal["column", "page"], typer.Option(help="Of a two-column page.")] = "column",
) -> None:
    """Draw accuracy against cost, one curve per method, with intervals and Pareto front; or tokens per layer."""
    from winnow.harness.cli.commands.plot import plot, schedules

    if x == "schedules":
        import_later("torch")  # no plan computes with tensors
        schedules(runs or [], out, model, width)
    else:
        plot(_some(results_of(results), results), results, out, runs or [], task, model, x, width)
    print(out)


def results_of(folder: Path) -> list[Result]:
    """The newest results below a folder."""
    from winnow.harness.run.result import results_below

    return results_below(folder)


def _some(found: list[Result], folder: Path) -> list[Result]:
    if not found:
        raise WinnowError(f"there are no runs in {folder}: make some with run.py, or say --results FOLDER")
    return found
