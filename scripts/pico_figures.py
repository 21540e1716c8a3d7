"""Compute every figure of README and docs that rests on pico, and write it into their marked blocks.

    python scripts/pico_figures.py                                       # goes on where it was stopped
    python scripts/pico_figures.py --results build/trial --limit 10 --dry    # a trial: prints, writes nothing
    python scripts/pico_figures.py --results build/seed-1 --weights build/pico-1/weights

Two lanes run side by side, one core each. Cells that are stored are not run again, so that new weights, a new method or
a change to a table cost only what they change.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scripts.figures import instrument, mass, methods, printed
from scripts.figures.pages import ROOT, write_block
from scripts.figures.runs import Store

LANES: dict[str, list[Callable[[Store], None]]] = {
    "methods": [methods.compute],
    "rest": [instrument.compute, methods.compute_layers, printed.compute],
}
BLOCKS: tuple[tuple[str, str, Callable[[Store], Iterable[str]]], ...] = (
    ("docs/pico.md", "types", instrument.kinds),
    ("docs/pico.md", "letters", instrument.letters),
    ("docs/pico.md", "orders", instrument.orders),
    ("docs/pico.md", "methods", lambda store: methods.rows(store, methods.SECTION)),
    ("docs/pico.md", "layers", methods.layers),
    ("docs/pico.md", "best", lambda store: methods.rows(store, methods.BEST)),
    ("docs/pico.md", "significant", methods.significant),
    ("models/pico/README.md", "mass", mass.mass),
    *printed.BLOCKS,
)


def main() -> None:
    """Run the lanes, then write the blocks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=ROOT / "build" / "pico-figures")
    parser.add_argument("--limit", type=int, help="documents of each task, for trials")
    parser.add_argument("--weights", type=Path, help="another seed's, to see the spread; printed, not written")
    parser.add_argument("--lane", choices=LANES, help="run this lane alone and write nothing")
    parser.add_argument("--dry", action="store_true", help="print the blocks instead of writing them")
    given = parser.parse_args()
    words = [f"limit={given.limit}"] if given.limit else []
    words += [f"model.weights={given.weights.absolute()}"] if given.weights else []
    store = Store(given.results.absolute(), words)
    if given.lane:
        for compute in LANES[given.lane]:
            compute(store)
        return
    _run_lanes()
    for page, name, lines in BLOCKS:
        if given.dry or given.weights:
            print(f"\n{page}: {name}\n", *lines(store), sep="\n")
        else:
            write_block(ROOT / page, name, lines(store))
    if not given.dry and not given.weights:
        printed.draw(store)


def _run_lanes() -> None:
    """Run each lane as a process of one thread, with this command's options."""
    command = [sys.executable, *sys.argv]
    alone = os.environ | {"OMP_NUM_THREADS": "1"}
    lanes = [subprocess.Popen([*command, "--lane", lane], cwd=ROOT, env=alone) for lane in LANES]
    codes = [lane.wait() for lane in lanes]
    if any(codes):
        raise SystemExit("a lane failed; mend it and run the same command again")


if __name__ == "__main__":
    main()
