"""How fast videos are read, alone and ahead of a model, and how much memory that takes; needs the program ffmpeg.

    python scripts/bench.py media [--parts readers walks sleepers memory] [--folder FOLDER] [--rival]
                                  [--codecs H.264 HEVC VP9 AV1] [--minutes 1 10 60] [--videos 24] [--rounds 3]

Five tables: the readers beside decord and PyAV for the same frames; a run whose model sleeps as long as decoding takes,
decoded ahead by one process, beside the same run in line and by the code of before; sixteen decoders that sleep the
times that were recorded, beside what they could do at best; memory of 32 frames of 4K; with ``--rival`` lmms-eval's
own loader.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from scripts.benches import footprint, readers, walks
from scripts.benches.films import CODECS, copies, large

PARTS = ("readers", "walks", "sleepers", "memory")


def main(words: Sequence[str]) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where the videos are made, and kept")
    parser.add_argument("--codecs", nargs="+", choices=CODECS, default=[*CODECS], help="which the readers read")
    parser.add_argument("--minutes", type=int, nargs="+", default=[1, 10, 60], help="their lengths")
    parser.add_argument("--videos", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3, help="how often the runs take turns")
    parser.add_argument("--rival", action="store_true", help="lmms-eval's own loader, too")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="which tables")
    given = parser.parse_args(words)
    if shutil.which("ffmpeg") is None:
        print("skipped: ffmpeg is not installed (Debian: apt install ffmpeg)")
        return
    with tempfile.TemporaryDirectory() as made:
        folder = given.folder or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        os.environ |= {"WINNOW_CACHE": f"{made}/cache", "WINNOW_FRAMES_GB": "0"}
        for part in given.parts:
            TABLES[part](given, folder, Path(made))


def _readers(given: argparse.Namespace, folder: Path, scratch: Path) -> None:
    table = Table("codec", "length", "before", "before, s", "now, s", "ratio", "exact", "now / lmms-eval")
    _print(table, readers.rows(folder, given.codecs, given.minutes, given.rival))


def _walks(given: argparse.Namespace, folder: Path, scratch: Path) -> None:
    table = Table("run", "one process ahead, beside", "ratio", "by round", "share waited for media")
    _print(table, walks.rows(scratch / "before", copies(folder, given.videos), given.rounds, given.rival))


def _print(table: Table, rows: Iterable[tuple[str, ...]]) -> None:
    """Print a table, and each row as soon as it is known."""
    for row in rows:
        print(" · ".join(filter(None, row)), file=sys.stderr, flush=True)
        table.add_row(*row)
    Console(width=120).print(table)


def _sleepers(given: argparse.Namespace, folder: Path, scratch: Path) -> None:
    recorded = []
    for path in copies(folder, given.videos)[:8]:
        started = time.perf_counter()
        readers.ours(path)
        recorded.append(time.perf_counter() - started)
    named = [scratch / f"{number}.mp4" for number in range(16 * 12)]
    for path in named:
        path.write_bytes(b"x")
    wall, bound = walks.sleepers(named, recorded)
    print(f"16 decoders that sleep: {wall:.2f} s, {wall / bound:.2f} of max(decoding / 16, model) = {bound:.2f} s")


def _memory(given: argparse.Namespace, folder: Path, scratch: Path) -> None:
    os.environ["WINNOW_FRAMES_GB"] = "20"
    most = footprint.most_above_idle(copies(folder, 1)[0], large(folder), readers.FRAMES)
    print(f"{readers.FRAMES} frames of 4K: {most / 1e9:.3f} GB (PSS) above the same processes idle")


TABLES = {"readers": _readers, "walks": _walks, "sleepers": _sleepers, "memory": _memory}
