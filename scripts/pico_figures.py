"""Compute every figure of README and docs that rests on pico, and write it into their marked blocks.

    python scripts/pico_figures.py                                       # goes on where it was stopped
    python scripts/pico_figures.py --results build/trial --limit 10 --dry    # a trial: prints, writes nothing
    python scripts/pico_figures.py --parts spread --other build/pico-1/weights

Two lanes run side by side, one core each. Cells that are stored are not run again, so that new weights, a new method or
a change to a table cost only what they change.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scripts.figures import instrument, mass, methods, printed, spread
from scripts.figures.pages import ROOT, write_block
from scripts.figures.runs import Store

PAGE = "docs/pico.md"


@dataclass(frozen=True)
class Part:
    """What is run for some blocks, and the blocks: page, name, lines."""

    compute: Callable[[Store], None]
    blocks: Sequence[tuple[str, str, Callable[[Store], Iterable[str]]]]


PARTS = {
    "methods": Part(methods.compute, [(PAGE, "methods", lambda store: methods.rows(store, methods.SECTION))]),
    "eighth": Part(methods.compute_eighth, [(PAGE, "eighth", lambda store: methods.rows(store, methods.EIGHTH))]),
    "stages": Part(methods.compute_stages, [(PAGE, "stages", lambda store: methods.rows(store, methods.STAGES))]),
    "instrument": Part(
        instrument.compute,
        [
            (PAGE, "types", instrument.kinds),
            (PAGE, "letters", instrument.letters),
            (PAGE, "orders", instrument.orders),
            ("models/pico/README.md", "mass", mass.mass),
        ],
    ),
    "layers": Part(
        methods.compute_layers,
        [
            (PAGE, "layers", methods.layers),
            (PAGE, "best", lambda store: methods.rows(store, methods.BEST)),
            (PAGE, "significant", methods.significant),
        ],
    ),
    "spread": Part(spread.compute, [(PAGE, "spread", spread.rows)]),
    "printed": Part(printed.compute, printed.BLOCKS),
}
LANES = (("methods", "eighth", "stages"), ("instrument", "layers", "spread", "printed"))


def main() -> None:
    """Run the lanes, then write the blocks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=ROOT / "build" / "pico-figures")
    parser.add_argument("--limit", type=int, help="documents of each task, for trials")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--other", type=Path, help="another seed's weights; without them the part spread is left out")
    parser.add_argument("--lane", type=int, choices=range(len(LANES)), help="run this lane alone and write nothing")
    parser.add_argument("--dry", action="store_true", help="print the blocks instead of writing them")
    given = parser.parse_args()
    parts = [part for part in given.parts if part != "spread" or given.other]
    words = [f"limit={given.limit}"] if given.limit else []
    store = Store(given.results.absolute(), words, given.other and given.other.absolute())
    if given.lane is not None:
        for part in LANES[given.lane]:
            if part in parts:
                PARTS[part].compute(store)
        return
    _run_lanes()
    for page, name, lines in (block for part in parts for block in PARTS[part].blocks):
        if given.dry:
            print(f"\n{page}: {name}\n", *lines(store), sep="\n")
        else:
            write_block(ROOT / page, name, lines(store))
    if "printed" in parts and not given.dry:
        printed.draw(store)


def _run_lanes() -> None:
    """Run each lane as a process of one thread, with this command's options."""
    command = [sys.executable, *sys.argv]
    alone = os.environ | {"OMP_NUM_THREADS": "1"}
    lanes = [subprocess.Popen([*command, "--lane", str(lane)], cwd=ROOT, env=alone) for lane in range(len(LANES))]
    codes = [lane.wait() for lane in lanes]
    if any(codes):
        raise SystemExit("a lane failed; mend it and run the same command again")


if __name__ == "__main__":
    main()
