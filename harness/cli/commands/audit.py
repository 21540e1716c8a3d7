"""`winnow audit`: the report card of a method."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from winnow.harness.cli.completion import complete
from winnow.harness.common import files
from winnow.harness.common.exits import INCOMPLETE, OK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from winnow.harness.audit.card import Card
    from winnow.harness.audit.needs import Subject

app = typer.Typer(no_args_is_help=True)

Words = Annotated[
    list[str],
    typer.Argument(help="As run.py -m takes them: reducer=… ratio=… model=… tasks=…", autocompletion=complete),
]
Form = Annotated[Literal["rich", "md", "latex", "csv"], typer.Option("--format", help="How to print it.")]
Page = Annotated[Path | None, typer.Option(help="Also write one HTML page with plots: .html.")]
Bench = Annotated[Path, typer.Option(help="Folder of measurements of winnow bench.")]
BENCH = Path("results/bench")
LEFT = ("figure", "of", "value", "95 %", "note")


@app.callback()
def audit() -> None:
    """The report card of a method: what its critics would ask, from runs."""


@app.command()
def plan(
    words: Words,
    out: Annotated[Path | None, typer.Option(help="Where to write the manifest.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan, write nothing.")] = False,
) -> None:
    """Write down the runs that a card lacks as a manifest, for winnow run, submit and status.

    Controls at equal budget repeat what the method's own run did: once it is finished, plan again for them.
    """
    from winnow.harness.common.lazy_import import import_later

    import_later("torch")  # no plan computes with tensors
    from winnow.harness.audit.assemble import store_of
    from winnow.harness.audit.stages import plan as make
    from winnow.harness.audit.subjects import subjects
    from winnow.harness.sweep.status import describe

    found = subjects(words)
    manifest, waiting = make(found, store_of(found), out, dry_run)
    if manifest is None:
        print("every run of the card is finished: winnow audit show prints it")
        return
    print(describe(manifest, every=dry_run))
    if waiting:
        print(f"{waiting} more repeat what these do: plan again once they are finished")
    if not dry_run:
        with files.writable(manifest.path.parent):
            manifest.save()
        print(manifest.path)


@app.command()
def run(
    words: Words,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; by default one for each GPU.")] = None,
    form: Form = "rich",
    out: Page = None,
    bench: Bench = BENCH,
) -> None:
    """Run what a card lacks, and print it; the same command goes on where it was stopped."""
    from winnow.harness.audit.assemble import store_of
    from winnow.harness.audit.stages import plan as make
    from winnow.harness.audit.subjects import subjects
    from winnow.harness.sweep.devices import visible_gpus
    from winnow.harness.sweep.local import run_local

    found, code, before = subjects(words), OK, set[str]()
    while (manifest := make(found, store_of(found), None, False)[0]) is not None:
        left = {one.id for one in manifest.cells()}
        if not left or left <= before:
            break  # what failed, failed
        before |= left
        with files.writable(manifest.path.parent):
            manifest.save()
        print(f"{len(left)} runs: {manifest.path}", file=sys.stderr)
        code = run_local(manifest, workers or max(1, len(visible_gpus())), trust=True)
        if code != OK:
            break
    _print(_cards(found, bench), form, out)
    raise typer.Exit(code)


@app.command()
def show(words: Words, form: Form = "rich", out: Page = None, bench: Bench = BENCH) -> None:
    """Print the card of what is finished; a section that lacks a run says what makes it. Exit code 1 if any does."""
    from winnow.harness.audit.subjects import subjects
    from winnow.harness.config.hydra_api import hydra

    with hydra():  # what several runs choose alike is then composed once
        cards = _cards(subjects(words), bench)
    _print(cards, form, out)
    if any(section.state == "missing" for card in cards for section in card.sections):
        raise typer.Exit(INCOMPLETE)


def _cards(found: Sequence[Subject], bench: Path) -> list[Card]:
    from winnow.harness.audit.assemble import card, store_of
    from winnow.harness.audit.benches import read_benches
    from winnow.harness.config.hydra_api import hydra

    store, benches = store_of(found), read_benches(bench)
    with hydra():
        return [card(subject, store, benches) for subject in found]


def _print(cards: Sequence[Card], form: Form, out: Path | None) -> None:
    from winnow.harness.audit.show.latex import as_latex
    from winnow.harness.audit.show.page import write
    from winnow.harness.audit.show.text import figures, notes, rows, verdicts
    from winnow.harness.common.console import as_csv, print_table
    from winnow.harness.common.plain import markdown, visible

    if form == "csv":
        table = [row for card in cards for row in figures(card)]
        print(as_csv(table, [*table[0]] if table else []))
    for card in cards if form != "csv" else ():
        if form == "latex":
            print(as_latex(card))
            continue
        title = f"{card.method}: {card.about}"
        print_table(verdicts(card), form, left=("section", "", "verdict"), title=title, wrap=("verdict",))
        for section in card.sections:
            verdict, *rest = (f"{markdown(note)}\n" if form == "md" else visible(note) for note in notes(section))
            print(f"\n{verdict}")
            if section.lines:
                print_table(rows(section), form, left=LEFT, wrap=("figure", "note"))
            print("\n".join(rest))
    if out is not None:
        write(cards, out)
        print(out)
