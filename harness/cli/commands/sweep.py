"""The commands of `winnow` that plan, run and watch sweeps."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from winnow.harness.cli.completion import complete
from winnow.harness.common import files
from winnow.harness.common.console import Format
from winnow.harness.common.exits import INCOMPLETE, INTERRUPTED, OK

if TYPE_CHECKING:
    from winnow.harness.sweep.manifest import Manifest

commands = typer.Typer()

Where = Annotated[Path, typer.Argument(metavar="MANIFEST", help="A sweep's manifest, or the folder that holds it.")]
Trust = Annotated[bool, typer.Option("--trust", help="Execute what the file names, though Winnow does not know it.")]
Parts = Annotated[int, typer.Option(min=1, help="Answer the documents of each cell in so many parts.")]


def _trusted(where: Path, trust: bool) -> Manifest:
    """Load a manifest whose cells may be run."""
    from winnow.harness.config.trust import check_trust
    from winnow.harness.sweep.manifest import load

    manifest = load(where)
    check_trust((one.cell for one in manifest.cells()), manifest.path, trust)
    return manifest


@commands.command()
def plan(
    overrides: Annotated[
        list[str],
        typer.Argument(
            help="As run.py takes them: experiment=… or reducer=a,b ratio=…",
            autocompletion=complete,
        ),
    ],
    out: Annotated[Path | None, typer.Option(help="Where to write the manifest.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan, write nothing.")] = False,
) -> None:
    """Expand a sweep into cells, drop those that are finished, and write the rest down as a manifest."""
    from winnow.harness.common.lazy_import import import_later

    import_later("torch")  # no plan computes with tensors
    from winnow.harness.sweep.plan import plan as make
    from winnow.harness.sweep.status import describe
    from winnow.harness.sweep.together import together

    manifest = make(overrides, out, dry_run)
    print(describe(manifest, every=dry_run))
    if dry_run:
        print("\n".join(together(manifest)))
    else:
        with files.writable(manifest.path.parent):
            manifest.save()
        print(manifest.path)


@commands.command()
def run(
    where: Where,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; by default one for each GPU.")] = None,
    gpus: Annotated[int, typer.Option(min=1, help="GPUs of each worker, where there are any.")] = 1,
    parts: Parts = 1,
    trust: Trust = False,
) -> None:
    """Run a sweep with worker processes on this machine; the same command goes on with what is left."""
    from winnow.harness.results.tables.runs import show
    from winnow.harness.run.result import results_of
    from winnow.harness.sweep.devices import visible_gpus
    from winnow.harness.sweep.local import run_local

    manifest = _trusted(where, trust)
    count = workers or max(1, len(visible_gpus()) // gpus)
    with files.writable(manifest.path.parent):
        code = run_local(manifest, count, gpus, parts, trust)
    show(results_of(manifest.results, [*manifest.stored, *(cell.id for cell in manifest.cells())]), manifest.results)
    if code == INTERRUPTED:
        print("interrupted; what was answered is kept: run the same command again to go on", file=sys.stderr)
    raise typer.Exit(code)


@commands.command()
def work(
    where: Where,
    index: Annotated[int, typer.Option(min=0, help="Which worker this is; it decides where it begins.")] = 0,
    of: Annotated[int, typer.Option(min=1, help="How many workers there are.")] = 1,
    parts: Parts = 1,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for cells of others: they may die.")] = False,
    parent: Annotated[int | None, typer.Option(help="Stop when this process is gone.")] = None,
    trust: Trust = False,
) -> None:
    """Be one worker of a sweep, in this process: what `winnow run` starts, and a job script of your own.

    SIGUSR2 and SIGTERM let it stop after the current batch, with exit code 75.
    """
    from winnow.harness.run.stop import Stop, orphaned
    from winnow.harness.sweep.work import work as begin

    manifest = _trusted(where, trust)
    gone = [orphaned(parent)] if parent is not None else []
    stop = Stop(*gone, manifest.cancelled).listen(signal.SIGUSR2, signal.SIGTERM)
    raise typer.Exit(begin(manifest, index, of, stop, wait, parts))


@commands.command()
def submit(
    where: Where,
    partition: Annotated[str | None, typer.Option(help="Of the cluster; by default its own default.")] = None,
    array_parallelism: Annotated[int, typer.Option(min=1, help="Tasks that may run at a time.")] = 16,
    time: Annotated[int, typer.Option(min=1, help="Minutes per task; one that runs out of it is requeued.")] = 240,
    tasks: Annotated[int | None, typer.Option(min=1, help="Tasks; by default as many as may run at a time.")] = None,
    gpus: Annotated[int, typer.Option(min=0, help="GPUs per task.")] = 1,
    cpus: Annotated[int | None, typer.Option(min=1, help="CPUs per task.")] = None,
    mem: Annotated[str | None, typer.Option(help="Memory per task, e.g. 64GB.")] = None,
    signal_delay: Annotated[int, typer.Option(min=1, help="Seconds before the limit when tasks are told.")] = 120,
    setup: Annotated[list[str] | None, typer.Option(help="Shell line before a task: 'module load cuda'.")] = None,
    option: Annotated[list[str] | None, typer.Option(help="Any other of sbatch, e.g. --option account=me.")] = None,
    parts: Parts = 1,
    trust: Trust = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what sbatch would get, send nothing.")] = False,
) -> None:
    """Send a sweep to Slurm as one job array, and return at once; `winnow status` then tells how it stands."""
    from winnow.harness.sweep.slurm import script
    from winnow.harness.sweep.slurm import submit as send

    manifest = _trusted(where, trust)
    extra = dict(word.partition("=")[::2] for word in option or [])
    options = {
        "partition": partition,
        "gres": f"gpu:{gpus}" if gpus else None,
        "cpus_per_task": cpus,
        "mem": mem,
        "signal_delay_s": signal_delay,
        "setup": setup,
        "additional_parameters": {"requeue": True} | extra,
    }
    if dry_run:
        print(script(manifest, tasks, array_parallelism, time, parts, options))
        return
    with files.writable(manifest.path.parent):
        job = send(manifest, tasks, array_parallelism, time, parts, options, trust)
    print(f"job array {job}; `winnow status {manifest.path.parent}` tells how it stands")


@commands.command()
def status(
    where: Where,
    cells: Annotated[bool, typer.Option("--cells", help="One line for each cell.")] = False,
    watch: Annotated[
        float | None, typer.Option(min=0.1, help="Look again after so many seconds, until nothing is left to be run.")
    ] = None,
) -> None:
    """Say how a sweep stands, from its runs alone: finished, running, failed, pending, time left."""
    from winnow.harness.sweep.manifest import load
    from winnow.harness.sweep.status import follow, standing

    manifest = load(where)
    if watch is not None:
        follow(manifest, cells, watch)
    text, complete = standing(manifest, cells)
    print(text)
    raise typer.Exit(OK if complete else INCOMPLETE)


@commands.command()
def retry(
    where: Where,
    failed: Annotated[bool, typer.Option("--failed", help="Failed cells; what is taken if nothing is said.")] = False,
    damaged: Annotated[bool, typer.Option("--damaged", help="Finished cells with files that changed since.")] = False,
    all_: Annotated[bool, typer.Option("--all", help="Every cell: computes the whole sweep again.")] = False,
) -> None:
    """Let cells be run again that failed, or whose files are damaged; then say `winnow run` or `winnow submit`."""
    from winnow.harness.sweep.manifest import load
    from winnow.harness.sweep.status import forget_some

    manifest = load(where)
    with files.writable(manifest.results):
        for line in forget_some(manifest, failed or not (damaged or all_), damaged, all_):
            print(line)


@commands.command()
def cancel(where: Where) -> None:
    """Let all workers of a sweep stop after their batch, here and elsewhere, and take its jobs off the queue."""
    from winnow.harness.sweep.manifest import load
    from winnow.harness.sweep.slurm import cancel_jobs

    manifest = load(where)
    with files.writable(manifest.path.parent):
        files.write_text(manifest.cancel, "")
    jobs = cancel_jobs(manifest)
    print("workers stop after their batch" + (f"; cancelled {', '.join(jobs)}" if jobs else ""))


@commands.command()
def logs(
    cell: Annotated[str, typer.Argument(help="A run's id, or the beginning of it.")],
    results: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("results/runs"),
    lines: Annotated[int, typer.Option(min=1, help="How much of the worker's log.")] = 40,
) -> None:
    """Print what is known of one run: who works or worked on it, where, its failures, and its worker's log."""
    from winnow.harness.sweep.status import logs_of

    print(logs_of(cell, results, lines))


@commands.command()
def evict(
    cells: Annotated[list[str], typer.Argument(help="Runs that are held: their ids, or the beginnings of these.")],
    results: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("results/runs"),
) -> None:
    """Take runs from processes that hold them and hang, as `winnow status` tells; what they answered is kept."""
    from winnow.harness.sweep.status import evict_some

    with files.writable(results):
        for line in evict_some(cells, results):
            print(line)


Runs = Annotated[list[str] | None, typer.Argument(metavar="RUN", help="Runs; by default all that need it.")]
Results = Annotated[Path, typer.Option(help="Folder of the runs.")]


@commands.command()
def rescore(runs: Runs = None, results: Results = Path("results/runs"), trust: Trust = False) -> None:
    """Score finished runs anew from their stored answers, without a model: after a change of labels or scoring code."""
    from winnow.harness.sweep.again import again

    raise typer.Exit(again(runs or [], results, "score", trust))


@commands.command()
def recost(runs: Runs = None, results: Results = Path("results/runs"), trust: Trust = False) -> None:
    """Model the cost of finished runs anew from their stored traces, without a model: after a change of its code."""
    from winnow.harness.sweep.again import again

    raise typer.Exit(again(runs or [], results, "report", trust))


@commands.command()
def why(
    run: Annotated[str, typer.Argument(help="A run: its id, or the beginning of it.")],
    other: Annotated[
        list[str] | None,
        typer.Argument(help="Another run, or overrides as run.py takes them.", autocompletion=complete),
    ] = None,
    results: Results = Path("results/runs"),
    trust: Trust = False,
) -> None:
    """Say what differs between a run and the same command given today, another command, or another run."""
    from winnow.harness.sweep.again import explain

    lines = explain(run, other or [], results, trust)
    print("\n".join(lines) if lines else "nothing differs: it is the same run")


@commands.command()
def rerun(
    run: Annotated[str, typer.Argument(help="A run, computed here or imported: its id, or the beginning of it.")],
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many documents of each task.")] = None,
    results: Results = Path("results/runs"),
    out: Annotated[Path, typer.Option(help="Folder of repetitions, apart from the runs.")] = Path("results/runs-again"),
    form: Annotated[Format, typer.Option("--format", help="How to print the samples.")] = "rich",
    trust: Trust = False,
) -> None:
    """Repeat a run or part of it here; say sample by sample what differs, and what of versions may explain it."""
    from winnow.harness.common.console import print_table
    from winnow.harness.common.plain import visible
    from winnow.harness.sweep.rerun import rerun as repeat

    found = repeat(run, limit, results, out, trust)
    if found.rows:
        print_table(found.rows, form, left=("sample", "what", "then", "now"), wrap=("then", "now"), keys=("sample",))
    print(f"{found.run} again, as {found.again}: {found.verdict}")
    for line in found.reasons:
        print(f"  {visible(line)}")
    raise typer.Exit(INCOMPLETE if found.rows else OK)
