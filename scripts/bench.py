"""What Winnow is measured by, one subcommand each; ``python scripts/bench.py NAME --help`` says more.

    python scripts/bench.py media      videos: decoding alone, ahead of a model, memory, beside lmms-eval's loader
    python scripts/bench.py sweep      a sweep in one process beside single commands and lmms-eval's command line
    python scripts/bench.py share      prefills of a sweep's cells, each by itself and in one tree
    python scripts/bench.py batches    documents a second at several batch sizes
    python scripts/bench.py store      tables, plans, exports and the report over 5,000 finished runs
    python scripts/bench.py journal    bytes a document, and peak memory of a large run besides its model

Ratios are what counts, as other programs may be running.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

NAMES = ("media", "sweep", "share", "batches", "store", "journal")


def main() -> None:
    """Run a subcommand."""
    if len(sys.argv) < 2 or sys.argv[1] not in NAMES:
        print(__doc__)
        sys.exit(2)
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    importlib.import_module(f"scripts.benches.{sys.argv[1]}").main(sys.argv[2:])


if __name__ == "__main__":
    main()
