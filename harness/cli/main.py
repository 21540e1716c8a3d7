"""The command `winnow`: runs sweeps, looks at finished runs, checks and calibrates methods."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import typer

from harness.cli.data import app as data
from harness.cli.figures import figures
from harness.cli.judge import judge
from harness.cli.sweep import commands
from harness.exits import INCOMPLETE, INTERRUPTED, USER_ERROR
from harness.paper.formats import Form
from harness.tables.runs import Format, Result
from reducers.errors import WinnowError

RESULTS = Path("results/runs")
What = Literal["retention", "flops", "kv", "ttft", "layers", "schedules"]

USAGE: Any = typer.BadParameter.__bases__[0]
"""What typer raises for words that no command takes; it has no name of its own there."""

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
app.add_typer(commands)


app.add_typer(data, name="data")
app.command()(judge)
app.command()(figures)


@app.callback()
def winnow() -> None:
    """Run sweeps, look at finished runs, check methods; `python run.py --help` lists the settings."""


@app.command()
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
) -> None:
    """Print the table of all runs, or tables of the papers: ours beside the printed numbers."""
    from harness.run.store import results_below
    from harness.tables.runs import show

    if names:
        from harness.paper.command import show_tables

        return show_tables(names, results_below(results, outdated) if results.exists() else [], results, form)
    if form not in ("rich", "md", "csv"):
        raise WinnowError(f"--format {form} is for the tables of the papers: name one, or choose rich, md or csv")
    return show(_some(results_below(results, outdated), results), results, form)


@app.command()
def view(
    run: Annotated[str, typer.Argument(help="The run: its id, or the beginning of it.")],
    sample: Annotated[str, typer.Option(help="Which sample: task/number, or number in a run of one task.")],
    out: Annotated[Path, typer.Option(help="Picture to draw: .png, .svg or .pdf.")] = Path("view.png"),
    results: Annotated[Path, typer.Option(help="Folder of the runs.")] = RESULTS,
    attention: Annotated[
        bool, typer.Option(help="The text's attention to each frame instead; loads the model.")
    ] = False,
) -> None:
    """Draw the tokens that a method kept of one sample on its frames, layer by layer; merged ones share a colour."""
    from harness.view.command import view

    view(run, sample, out, results, attention)
    print(out)


@app.command()
def report(
    tables: Annotated[
        list[str] | None, typer.Argument(help="Tables of the papers to hold, with the overrides of their runs.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Page to write.")] = Path("results/report.html"),
    results: Annotated[Path, typer.Option(help="Folder of the runs.")] = RESULTS,
    samples: Annotated[int, typer.Option(help="Questions per task and model to browse.")] = 200,
    pictures: Annotated[int, typer.Option(help="Samples with pictures of their tokens.")] = 6,
) -> None:
    """Write one HTML page that needs nothing else: tables, plots, run details, samples with token pictures."""
    from harness.paper.command import tables_of
    from harness.report.write import write

    found = _some(results_of(results), results)
    write(found, results, out, tables_of(tables, found, results) if tables else (), samples, pictures)
    print(out)


@app.command()
def compare(
    first: Annotated[str, typer.Argument(help="A run, or a folder of runs.")],
    second: Annotated[str, typer.Argument(help="Another one.")],
    form: Annotated[Format, typer.Option("--format", help="How to print it.")] = "rich",
    results: Annotated[Path, typer.Option(help="Folder of the runs.")] = RESULTS,
) -> None:
    """Compare two runs, or the runs of equal settings in two stores: agreement by sample, difference, noise or not."""
    from harness.exchange.compare import compared
    from harness.tables.runs import print_table

    print_table(compared(first, second, results), form, left=("model", "method", "task", "verdict"))


@app.command("export")
def export_(
    out: Annotated[Path, typer.Argument(help="File to write: .parquet or .csv.")],
    results: Annotated[Path, typer.Option(help="Folder of the runs.")] = RESULTS,
) -> None:
    """Write all finished runs with their scores to one file."""
    from harness.exchange.store import write

    print(f"{out}: {write(results, out)} runs")


@app.command("import")
def import_(
    path: Annotated[Path, typer.Argument(help="File that `winnow export` wrote.")],
    results: Annotated[Path, typer.Option(help="Folder that the runs go to.")] = RESULTS,
) -> None:
    """Make runs of an exported file, to stand in tables and comparisons; runs that are there stay."""
    from harness.exchange.store import read

    new = read(path, results)
    print(f"{results}: {len(new)} new runs")


@app.command()
def plot(
    out: Annotated[Path, typer.Option(help="Picture to draw: .png, .svg or .pdf.")],
    runs: Annotated[
        list[str] | None,
        typer.Argument(help="Runs to draw, all where none is named; of schedules: overrides, as run.py -m takes them."),
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
    from harness.plots.command import plot, schedules

    if x == "schedules":
        schedules(runs or [], out, model, width)
    else:
        plot(_some(results_of(results), results), results, out, runs or [], task, model, x, width)
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

    from harness.methods.check import check as findings
    from harness.methods.check import make, report

    torch.set_num_threads(1)  # tiny models are faster on one
    reducer = make(target, options or [])
    if report(reducer, list(findings(reducer, layers))):
        raise typer.Exit(INCOMPLETE)


@app.command()
def cost(
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            help="As run.py takes them, and hardware=…, profile=…, budget.flops|ms|kv|mean=… (TFLOP, ms, MB)"
        ),
    ] = None,
    published: Annotated[bool, typer.Option("--published", help="The cost columns of the papers beside ours.")] = False,
    form: Annotated[Format, typer.Option("--format", help="How to print it.")] = "rich",
) -> None:
    """Print what a method's plan costs: FLOPs, roofline time, bytes and memory by part and by layer. Loads no model."""
    from harness.later import import_later

    import_later("torch")  # seconds, for nothing: no plan computes with tensors
    from harness.cost.command import publish, run

    if published and overrides:
        raise WinnowError(f"--published takes no overrides: leave {overrides[0]} out")
    publish(form) if published else run(overrides or [], form)


@app.command()
def calibrate(
    method: Annotated[
        str,
        typer.Argument(help="vtw: its layer; vas: its ratio; cpu: this machine, for winnow cost."),
    ],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="As run.py takes them: model=…, tasks=… (pico's dev split), schedule=…")
    ] = None,
    documents: Annotated[int, typer.Option(help="Documents per task to look at.")] = 20,
    eta: Annotated[float, typer.Option(help="vtw: largest KL(p_k || p_full).")] = 0.003,
    first: Annotated[int, typer.Option(help="vtw: first layer to try.")] = 5,
    mean: Annotated[float, typer.Option(help="vas: wanted mean share of visual tokens over the layers.")] = 0.5,
    knob: Annotated[str, typer.Option(help="vas: what to search, ratio | r.")] = "ratio",
    tol: Annotated[float, typer.Option(help="vas: how far from the wanted share the nearest may lie.")] = 0.02,
) -> None:
    """Find a method's knob from a model's behaviour on a few documents, and print the override to use."""
    from harness.methods.calibrators import calibrate_cpu, calibrate_vas, calibrate_vtw

    if documents < 1:
        raise WinnowError(f"--documents {documents} is not allowed: choose 1 or more")
    if method == "vtw":
        calibrate_vtw(overrides or [], eta, first, documents)
    elif method == "cpu":
        calibrate_cpu()
    elif method == "vas":
        calibrate_vas(overrides or [], mean, knob, tol, documents)
    else:
        raise WinnowError(f"{method} cannot be calibrated: choose cpu | vas | vtw")


@app.command()
def bench(
    overrides: Annotated[
        list[str], typer.Argument(help="As run.py -m takes them: model=… reducer=fastv,vas ratio=… batch_size=…")
    ],
    rounds: Annotated[int, typer.Option(help="Rounds that count; each runs every method once.")] = 5,
    warmup: Annotated[int, typer.Option(help="Rounds before them.")] = 1,
    new_tokens: Annotated[int, typer.Option(help="Tokens to generate.")] = 8,
    tower: Annotated[str, typer.Option(help="Encode the pictures in each generation, or once: each | once.")] = "each",
    clock: Annotated[
        str, typer.Option(help="On a CPU: what passes, or what the process computes: wall | cpu.")
    ] = "wall",
    threads: Annotated[int | None, typer.Option(help="CPU threads.")] = None,
    minutes: Annotated[float, typer.Option(help="Refuse what is estimated to take longer.")] = 60.0,
    eager: Annotated[bool, typer.Option("--eager", help="Also time eager attention with output_attentions.")] = False,
    results: Annotated[Path, typer.Option(help="Folder of the measurements.")] = Path("results/bench"),
    form: Annotated[Format, typer.Option("--format", help="How to print it.")] = "rich",
) -> None:
    """Time methods against the unreduced model, on random pixels: TTFT by phase, TPOT, memory."""
    from harness.bench.report import show
    from harness.bench.runner import Settings, bench

    settings = Settings(rounds, warmup, new_tokens, tower, clock, threads, minutes, eager)  # type: ignore[arg-type]
    show(bench(overrides, settings, results), form)


def results_of(folder: Path) -> list[Result]:
    """The newest results below a folder."""
    from harness.run.store import results_below

    return results_below(folder)


def _some(found: list[Result], folder: Path) -> list[Result]:
    if not found:
        raise WinnowError(f"there are no runs in {folder}: make some with run.py, or say --results FOLDER")
    return found


def main() -> None:
    """Run the command line; a mistake in the input is one line and exit code 2."""
    try:
        sys.exit(app(standalone_mode=False))
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
