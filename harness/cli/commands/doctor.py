"""What ``winnow doctor`` does: looks at all that a run needs, on one screen, without loading a model."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from winnow.harness.cli.completion import complete
from winnow.harness.common.exits import INCOMPLETE, OK
from winnow.harness.common.folders import existing
from winnow.reducers.core.errors import WinnowError

commands = typer.Typer()
LEAST = 5.0
"""Gigabytes below which a disk is told to be nearly full."""
Finding = tuple[str, bool, str]
"""What was looked at, whether it is well, and what was found or how to mend it."""


@commands.command()
def doctor(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            help="As run.py takes them, model=… tasks=…: are these weights and data here?", autocompletion=complete
        ),
    ] = None,
    results: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("results/runs"),
) -> None:
    """Look whether this machine can run: versions, GPU, disks, Slurm; exit code 1 if not.

    Weights and data are looked for where model=… and tasks=… name them; what `winnow data check` does is not done.
    """
    found = [finding for look in (versions, machine, storage, extras) for finding in look(results)]
    found += [*asked(words)] if words else []
    for what, well, text in found:
        print(f"{'ok  ' if well else 'MEND'} {what:<14} {text}")
    raise typer.Exit(OK if all(well for _, well, _ in found) else INCOMPLETE)


def versions(results: Path) -> Iterator[Finding]:
    """Python, Winnow and the libraries that answers depend on."""
    from winnow.harness.run.environment import versions as installed

    yield "python", True, f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    for name, version in installed().items():
        yield name, version is not None, version or f"is not installed: pip install {name}"


def machine(results: Path) -> Iterator[Finding]:
    """Cores, memory and GPUs; without importing torch."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    yield "cores", True, f"{len(os.sched_getaffinity(0))} of {os.cpu_count()}, {memory:.0f} GB of memory"
    try:
        words = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
        gpus = subprocess.run(words, capture_output=True, text=True, check=True, timeout=20).stdout.splitlines()
    except (OSError, subprocess.SubprocessError):
        gpus = []
    yield "gpu", True, "; ".join(gpus) or "none: pico and scale=tiny run, larger models take hours"


def storage(results: Path) -> Iterator[Finding]:
    """Places that are written to, and how much they hold."""
    from winnow.harness.data.framecache import current
    from winnow.harness.data.places import hub_home

    for name, place, mend in (
        ("results", results, "say --results FOLDER, results=FOLDER"),
        ("hub cache", hub_home(), "set HF_HOME"),
    ):
        there = existing(place)
        free = shutil.disk_usage(there).free / 1e9
        writable = os.access(there, os.W_OK)
        amiss = (
            f": {'nearly full' if writable else 'cannot be written'}, {mend}" if free < LEAST or not writable else ""
        )
        yield name, not amiss, f"{place} ({free:.0f} GB free){amiss}"
    yield "frames", True, str(_said(lambda: current().folder))


def _said(look: Callable[[], object]) -> object:
    try:
        return look()
    except WinnowError as error:
        return error


def extras(results: Path) -> Iterator[Finding]:
    """What some options need, and is no fault if it is missing."""
    slurm, submitit = shutil.which("sbatch"), importlib.util.find_spec("submitit")
    yield (
        "slurm",
        not slurm or submitit is not None,
        (
            "none here: `winnow run` works alone"
            if not slurm
            else "sbatch"
            if submitit
            else "pip install 'winnow-vlm[slurm]'"
        ),
    )
    yield "ffmpeg", True, shutil.which("ffmpeg") or "not installed: only `make test-media` asks for it"


def asked(words: Sequence[str]) -> Iterator[Finding]:
    """Whether the weights of a model and the data of tasks lie here; without a network, and without reading them."""
    from winnow.harness.config.expand import expand
    from winnow.harness.data.needs import needs
    from winnow.harness.data.places import data_of
    from winnow.harness.plan.weights import weights_here
    from winnow.harness.sweep.cells import cells_of
    from winnow.harness.tasks.catalogue import BENCHMARKS

    cells = cells_of(expand(words))
    for model in {cell.model.name: cell.model for cell in cells}.values():
        yield f"model={model.name}", *weights_here(model)
    tasks = {name: cell.tasks.data for cell in cells for name in cell.tasks.tasks}
    for need in (need for name, data in tasks.items() if name in BENCHMARKS for need in needs([name], data_of(data))):
        here = need.state == "there"
        mend = "" if here else f", winnow data fetch {need.benchmark.task}"
        yield need.benchmark.task, here, f"{need.state} ({need.rows}){mend}"
    for name in tasks:
        if name not in BENCHMARKS:
            yield name, True, "makes its documents itself, or is your own: nothing to look for"
