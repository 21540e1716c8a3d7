"""A run whose model sleeps: its videos decoded in line, ahead, by the code of before, and by lmms-eval's loader."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

import numpy as np

from scripts.benches.readers import FRAMES, with_lmms_eval
from winnow.harness.common.spent import Spent
from winnow.harness.data.ahead import Ahead, Decode
from winnow.harness.data.document import Document
from winnow.harness.data.pool import Pool
from winnow.harness.data.video.clip import Clip

BEFORE = "bcdb038"
"""The last commit that decoded one file at a time, by decord, when it was asked for."""
PROGRAM = """
import sys, time
from pathlib import Path
from winnow.harness.data.media import sample_video

frames, questions, sleep, *paths = sys.argv[1:]
started = time.perf_counter()
for path in paths:
    for _ in range(int(questions)):
        sample_video(Path(path), int(frames))
        time.sleep(float(sleep))
print(time.perf_counter() - started)
"""


def walk(
    paths: Sequence[Path], workers: int, questions: int, sleep: float, decode: Decode | None = None
) -> tuple[float, float]:
    """Ask some questions about each video of a model that sleeps; seconds by the clock, and waited for media."""
    documents = [
        Document("bench", place, "?", lambda path=path: [str(path)], {}, (), None, "")  # type: ignore[misc]
        for place, path in enumerate(path for path in paths for _ in range(questions))
    ]
    spent, pool, started = Spent(), Pool(workers), time.perf_counter()
    ahead = Ahead(pool, documents, FRAMES, decode)
    for document in documents:
        with spent.on("wait"):
            (path,) = ahead.visuals(document)
            ahead.sample(Path(path), FRAMES, None)
            ahead.done(document)
        time.sleep(sleep)
    wall = time.perf_counter() - started
    pool.close()
    return wall, spent.now()["wait"]


def before(place: Path, paths: Sequence[Path], questions: int, sleep: float) -> float:
    """The same by the code of before; its process is started first, as ours is."""
    words = map(str, (FRAMES, questions, sleep, *paths))
    environment = os.environ | {"PYTHONPATH": str(place)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words], env=environment, cwd=place, capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def checkout(place: Path) -> bool:
    """Lay out the code of before; False where this is no checkout that has it."""
    place.mkdir(parents=True)
    packed = subprocess.run(["git", "archive", BEFORE], capture_output=True, check=False)
    if packed.returncode:
        return False
    subprocess.run(["tar", "x", "-C", place], input=packed.stdout, check=True)
    return True


def rows(place: Path, paths: Sequence[Path], rounds: int, rival: bool) -> Iterator[tuple[str, ...]]:
    """The rows of the table; the ways take turns, and the median of each round's ratios counts."""
    old = place if checkout(place) else None
    for questions in (1, 3):
        found: dict[str, list[float]] = {}
        for _ in range(rounds):
            sleep = walk(paths, 0, 1, 0.0)[0] / len(paths) / questions
            walls = {"in line": walk(paths, 0, questions, sleep)[0]}
            ahead, waited = walk(paths, 1, questions, sleep)
            if old is not None:
                walls[f"before ({BEFORE})"] = before(old, paths, questions, sleep)
            if rival and questions == 1:
                walls["lmms-eval's loader"] = _theirs(paths, sleep)
            for name, wall in walls.items():
                found.setdefault(name, []).append(ahead / wall)
            found.setdefault("", []).append(waited / ahead)
        waits = median(found.pop(""))
        for name, ratios in found.items():
            told = f"{len(paths)} videos, {questions} question{'s' * (questions > 1)} each"
            yield told, name, f"{median(ratios):.2f}", " ".join(f"{ratio:.2f}" for ratio in ratios), f"{waits:.2f}"


def _theirs(paths: Sequence[Path], sleep: float) -> float:
    with_lmms_eval(paths[0])  # its imports are no loading
    started = time.perf_counter()
    for path in paths:
        with_lmms_eval(path)
        time.sleep(sleep)
    return time.perf_counter() - started


def sleepers(paths: Sequence[Path], recorded: Sequence[float]) -> tuple[float, float]:
    """Sixteen decoders that sleep as long as decoding took, before a model that takes its share; wall and bound."""
    times = np.random.default_rng(0).choice(recorded, len(paths)).tolist()
    lengths = dict(zip(paths, times, strict=True))

    def decode(path: Path, frames: int, until: int | None) -> Clip:
        time.sleep(lengths[path])
        return Clip(np.zeros((frames, 4, 4, 3), np.uint8), [0] * frames, [0.0] * frames, 1.0, "slept")

    model = sum(times) / 16 / len(paths)
    wall, _ = walk(paths, 16, 1, model, decode)
    return wall, max(sum(times) / 16, model * len(paths))
