"""What the documents show of Winnow's own output about pico: two smoke tables, a card of the audit, a plot."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from scripts.figures.pages import ROOT
from scripts.figures.runs import Store

SECTION, DRAWN = "printed", "curve"
AIM = "experiment=aim_poster_adaptive smoke=true tasks=pico_video limit=100"
PRUMERGE = "experiment=prumerge_table_7 smoke=true tasks=pico_image limit=100"
AUDIT = "audit run reducer=fastv ratio=0.25 schedule=pico limit=300"
CURVE = "experiment=pico_curve tasks=pico_video"


def winnow(store: Store, *words: str, width: int = 160) -> str:
    """Run the command line in a process of its own, with the section's results; return what it printed."""
    command = [str(Path(sys.executable).parent / "winnow"), *words]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"COLUMNS": str(width)}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}: exit code {done.returncode}\n{done.stderr[-2000:]}")
    return done.stdout


def compute(store: Store) -> None:
    """Run what the tables, the card and the plot show."""
    here = f"results={store.folder / SECTION}"
    for words in (AIM, f"{AIM} controls=true", PRUMERGE, f"{PRUMERGE} controls=true"):
        winnow(store, "eval", *words.split(), here)
    winnow(store, *AUDIT.split(), here)
    winnow(store, "eval", *CURVE.split(), *store.words, f"results={store.folder / DRAWN}")


def table(words: str, *form: str) -> Callable[[Store], Iterable[str]]:
    """Return what prints a paper's table."""

    def lines(store: Store) -> Iterable[str]:
        found = words.replace("experiment=", "").split()
        shown = winnow(store, "tables", *found, "--results", str(store.folder / SECTION), *form)
        return ["```latex" if form else "```", *map(str.rstrip, shown.rstrip().splitlines()), "```"]

    return lines


def card(store: Store) -> Iterable[str]:
    """Print the card's title and verdicts, without its figures; its runs are stored."""
    title, verdicts, *_ = re.split(r"\n\s*\n", winnow(store, *AUDIT.split(), f"results={store.folder / SECTION}"))
    return ["```", title, *map(str.rstrip, verdicts.splitlines()), "```"]


def draw(store: Store) -> None:
    """Draw the README's curves."""
    winnow(store, "plot", "--results", str(store.folder / DRAWN), "--out", str(ROOT / "docs" / "pico_curve.png"))


BLOCKS: tuple[tuple[str, str, Callable[[Store], Iterable[str]]], ...] = (
    ("docs/tables.md", AIM, table(AIM)),
    ("docs/tables.md", PRUMERGE, table(PRUMERGE, "--format", "latex")),
    ("docs/audit.md", AUDIT, card),
)
