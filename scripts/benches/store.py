"""What commands over many finished runs take: seconds of CPU, peak memory, bytes written.

    python scripts/bench.py store [--runs 5000] [--place FOLDER] [tables export report plan]

The store is made once: a run of pico, copied under other names with other figures and intervals, of five models with
an unreduced run each. `plan` is of as many cells as the store has runs, none of which it holds.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from winnow.harness.common.finished import seal

MODELS, VARIANTS, DOCUMENTS = 5, 20, 100
METHODS = ("fastv", "random", "uniform", "vas", "prumerge", "tome", "aim", "pdrop")
COMMANDS = {
    "tables": ["tables"],
    "csv": ["tables", "--format", "csv"],
    "export": ["export", "OUT/all.parquet"],
    "full": ["export", "--full", "OUT/all.zip"],
    "report": ["report", "--out", "OUT/report.html", "--pictures", "0"],
    "plan": [
        "plan", "reducer=fastv,random,uniform,sequential,pdrop", "schedule=pico", "ratio=range(0.001,1,0.001)",
        "--dry-run",
    ],
}  # fmt: skip


def make(place: Path, runs: int) -> None:
    """Write the store, unless it is there."""
    if (place / "runs").exists():
        return
    words = ["reducer=fastv", "ratio=0.25", "schedule=pico", f"limit={DOCUMENTS}", f"results={place / 'one'}"]
    subprocess.run([sys.executable, "-m", "winnow.harness.cli.main", "eval", *words], check=True, stdout=sys.stderr)
    (template,) = (path.parent for path in (place / "one").glob("*/DONE"))
    variants = [_variant(template, place / f"variant{number}", number) for number in range(VARIANTS)]
    for number in range(runs):
        _copy(variants[number % VARIANTS], place / "runs", number)


def _variant(template: Path, place: Path, seed: int) -> Path:
    """The same run with other scores."""
    shutil.copytree(template, place)
    table = pq.read_table(place / "scores.parquet")
    right = np.random.default_rng(seed).random(len(table)) < 0.4 + seed / 40
    scores = pa.array(right.astype(float))
    table = table.set_column(table.column_names.index("score"), "score", scores)
    (place / "scores.parquet").unlink()
    pq.write_table(table, place / "scores.parquet")
    (place / "DONE").unlink()
    return place


def name_of(number: int) -> str:
    """A run's name, in no order."""
    return sha256(str(number).encode()).hexdigest()[:12]


def _copy(source: Path, runs: Path, number: int) -> None:
    """A run of its own; what is equal is a hard link."""
    place = runs / name_of(number)
    place.mkdir(parents=True)
    for path in source.iterdir():
        if path.is_file() and path.name != "result.json":
            os.link(path, place / path.name)
    (place / "result.json").write_text(json.dumps(_result(json.loads((source / "result.json").read_text()), number)))
    seal(place, "", "")


def _result(result: dict[str, Any], number: int) -> dict[str, Any]:
    model, unreduced = f"model-{number % MODELS}", number < MODELS
    method = "none" if unreduced else METHODS[number // MODELS % len(METHODS)]
    ratio = round(0.001 * (number // MODELS), 3)
    mean = 40 + 2.5 * (number % VARIANTS)
    tasks = [task | {"mean": mean, "low": mean - 8, "high": mean + 8} for task in result["tasks"]]
    words = {"model": model, "context": model, "reducer": method, "label": method, "asked": f"{ratio:g}"}
    names = {"id": name_of(number), "settings": f"{number}", "tasks": tasks}
    return {key: value for key, value in result.items() if key not in ("drop", "gain")} | words | names


def measure(name: str, place: Path) -> None:
    """Run a command in a process of its own and print what it took."""
    words = [word.replace("OUT", str(place)) for word in COMMANDS[name]]
    words += [] if name == "plan" else ["--results", str(place / "runs")]
    started = time.monotonic()
    command = [sys.executable, "-m", "winnow.harness.cli.main", *words]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{name} failed: {' '.join(command)}")
    out = [Path(word) for word in words if word.startswith(f"{place}/") and Path(word).is_file()]
    size = f", {out[0].stat().st_size / 1e6:.1f} MB written" if out else ""
    print(
        f"{name}: {time.monotonic() - started:.1f} s, {used.ru_utime + used.ru_stime:.1f} s of CPU, "
        f"{used.ru_maxrss / 1e3:.0f} MB of memory{size}",
        flush=True,
    )


def main(words: Sequence[str]) -> None:
    """Measure the commands that are named, by default all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("commands", nargs="*", choices=[*COMMANDS, []], default=[])
    parser.add_argument("--runs", type=int, default=5000)
    parser.add_argument("--place", type=Path, default=Path("build/store"))
    asked = parser.parse_args(words)
    make(asked.place, asked.runs)
    for name in asked.commands or COMMANDS:
        measure(name, asked.place)
