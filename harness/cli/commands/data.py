"""`winnow data`: what tasks need, fetching it, and looking whether it is complete."""

from __future__ import annotations

from typing import Annotated

import typer

from winnow.harness.common.exits import INCOMPLETE

app = typer.Typer(no_args_is_help=True, help="The data of benchmarks: what is needed, where it lies, what is missing.")

Choices = Annotated[list[str], typer.Argument(help="As tasks=… takes them, or lmms-eval's names.")]
Where = Annotated[str, typer.Option("--data", help="hub, fixtures, or a folder with mirror and home.")]


@app.command()
def plan(choices: Choices, data: Where = "hub") -> None:
    """Say what is needed, from which dataset and revision, how much, and where it lies; needs no network."""
    from winnow.harness.common.console import print_table
    from winnow.harness.data.needs import SIZES, names_of, needs
    from winnow.harness.data.places import data_of

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
    for repo in dict.fromkeys(need.benchmark.repo for need in found if need.benchmark.repo in SIZES):
        print(f"{repo}: {SIZES[repo][0]:g} GB, {SIZES[repo][1]}")


@app.command()
def fetch(choices: Choices) -> None:
    """Download and unpack; what is there already is kept, a half extracted archive is completed."""
    from winnow.harness.data.fetch import fetch as fetched
    from winnow.harness.data.needs import names_of, needs
    from winnow.harness.data.places import HUB, data_of

    for line in fetched(needs(names_of(choices), data_of(HUB))):
        print(line, flush=True)


@app.command()
def check(
    choices: Annotated[
        list[str], typer.Argument(help="As tasks=… takes them, or lmms-eval's names; model=… and media.…=… as run.py.")
    ],
    data: Where = "hub",
    frames: Annotated[int | None, typer.Option(min=1, help="Of each video; the model's number, else 8.")] = None,
    fast: Annotated[bool, typer.Option("--fast", help="The first frame only.")] = False,
) -> None:
    """Decode and prepare what a run would of every document; exit code 1 and a list if any is missing or broken."""
    from winnow.harness.cli.commands.checking import check as checked

    if not checked(choices, data, 1 if fast else frames):
        raise typer.Exit(INCOMPLETE)
