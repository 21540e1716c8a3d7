"""`winnow data`: what tasks need, fetching it, and looking whether it is complete."""

from __future__ import annotations

from typing import Annotated

import typer

from winnow.harness.cli.completion import complete
from winnow.harness.common.exits import INCOMPLETE

app = typer.Typer(no_args_is_help=True, help="The data of benchmarks: what is needed, where it lies, what is missing.")

Choices = Annotated[list[str], typer.Argument(help="As tasks=… takes them, or lmms-eval's names.")]
Where = Annotated[str, typer.Option("--data", help="hub, fixtures, or a folder with mirror and home.")]


@app.command()
def plan(choices: Choices, data: Where = "hub") -> None:
    """Say what is needed, from which dataset and revision, how much, and where it lies; needs no network."""
    from winnow.harness.common.console import print_table
    from winnow.harness.data.needs import names_of, needs
    from winnow.harness.data.places import data_of
    from winnow.harness.data.sizes import SIZES

    found = needs(names_of(choices), data_of(data))
    table = [
        {
            "task": need.benchmark.task,
            "dataset": need.dataset,
            "revision": need.revision,
            "GB": need.gigabytes,
            "questions": str(need.rows),
            "videos": str(need.media) if need.media else "within",
            "state": need.state,
        }
        for need in found
    ]
    print_table(table, "rich", left=[*table[0]], wrap=[*table[0]])
    told = {need.benchmark.task: SIZES[need.benchmark.task] for need in found if need.benchmark.task in SIZES}
    for size in dict.fromkeys(told.values()):
        tasks = ", ".join(task for task, one in told.items() if one == size)
        print(f"{tasks}: {size.gigabytes:g} GB at {size.revision}, {size.source}")


@app.command()
def fetch(
    choices: Choices,
    data: Annotated[str, typer.Option("--data", help="hub (into its cache), or a folder for tasks.data=….")] = "hub",
) -> None:
    """Download the splits and media of tasks, and unpack; what is there is kept, half of an archive is completed."""
    from winnow.harness.data.fetch import fetch as fetched
    from winnow.harness.data.needs import names_of, needs
    from winnow.harness.data.places import make_place

    names, place = names_of(choices), make_place(data)
    for line in fetched(needs(names, place), place):
        print(line, flush=True)


@app.command()
def check(
    choices: Annotated[
        list[str],
        typer.Argument(
            help="As tasks=… takes them, or lmms-eval's names; model=… and media.…=… as run.py.",
            autocompletion=complete,
        ),
    ],
    data: Where = "hub",
    frames: Annotated[int | None, typer.Option(min=1, help="Of each video; the model's number, else 8.")] = None,
    fast: Annotated[bool, typer.Option("--fast", help="The first frame only.")] = False,
) -> None:
    """Decode and prepare what a run would of every document; exit code 1 and a list if any is missing or broken."""
    from winnow.harness.cli.commands.checking import check as checked

    if not checked(choices, data, 1 if fast else frames):
        raise typer.Exit(INCOMPLETE)
