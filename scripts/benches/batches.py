"""What batching wins on pico, and that it changes no answer: documents a second at several batch sizes.

    python scripts/bench.py batches [--documents 48] [--sizes 1 4 16] [--repeats 3]

Questions about videos and about pictures take turns, so that a batch holds prompts of unlike lengths. Decoding the
files is kept out: encoding the prompts, the vision tower, prefill and answer are timed, in seconds of one processor, as
other programs may be running. Sizes take turns, round after round; gains are medians over rounds.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence

import torch
import yaml
from rich.console import Console
from rich.table import Table

from winnow import configs
from winnow.harness.config.schema import TasksConfig
from winnow.harness.data.document import Document
from winnow.harness.data.documents import Tasks
from winnow.harness.data.media import make_prompt
from winnow.harness.run.generate import answer, encode
from winnow.harness.run.record import Row
from winnow.models.families.prompt import Prompt
from winnow.models.loading.load import Loaded, load
from winnow.models.loading.spec import ModelSpec
from winnow.reducers.core.base import Reducer
from winnow.reducers.core.schedule import K
from winnow.reducers.fastv import FastV
from winnow.reducers.none import NoReduction
from winnow.reducers.prumerge import PruMerge

METHODS: dict[str, Reducer] = {
    "none": NoReduction(),
    "fastv 25 %": FastV(ratio=0.25, schedule=K(2)),
    "prumerge": PruMerge(),
}
Asked = tuple[Document, Prompt]


def pico() -> Loaded:
    """The model that ships with Winnow, on the CPU."""
    entry = yaml.safe_load((configs.FOLDER / "model" / "pico.yaml").read_text())
    return load(ModelSpec(entry["family"], entry["repo"], device="cpu"))


def questions(number: int) -> list[Asked]:
    """Documents of pico's two tasks in turn, decoded."""
    names = ["pico_video", "pico_image"]
    texts = yaml.safe_load((configs.FOLDER / "tasks" / "pico.yaml").read_text())
    tasks = Tasks(TasksConfig(name="pico", tasks=names, folder=texts["folder"], prepare=texts["prepare"]))
    each = [tasks.documents(name, (number + 1) // 2) for name in names]
    documents = [document for pair in zip(*each, strict=True) for document in pair][:number]
    return [(document, make_prompt(document.text, document.visuals(), 8)) for document in documents]


def answers(loaded: Loaded, reducer: Reducer, asked: Sequence[Asked], size: int) -> list[Row]:
    """Answer all questions in batches of `size`."""
    rows = []
    for start in range(0, len(asked), size):
        documents, prompts = zip(*asked[start : start + size], strict=True)
        rows += answer(loaded, reducer, encode(loaded, documents, prompts), seed=0)
    return rows


def changed(rows: Sequence[Row], others: Sequence[Row]) -> int:
    """How many documents got another answer, or kept other tokens."""
    told = [[(row.key, row.answer, row.tokens_per_layer, row.fate) for row in some] for some in (rows, others)]
    return sum(a != b for a, b in zip(*told, strict=True))


def measure(loaded: Loaded, reducer: Reducer, asked: Sequence[Asked], sizes: Sequence[int], repeats: int) -> list[str]:
    """One row of the table: documents a second at the first size, the gain of the others, and what differs."""
    alone, seconds = answers(loaded, reducer, asked, 1), dict[int, list[float]]()
    told = {size: changed(alone, answers(loaded, reducer, asked, size)) for size in sizes}
    for _ in range(repeats):
        for size in sizes:
            started = time.process_time()
            answers(loaded, reducer, asked, size)
            seconds.setdefault(size, []).append(time.process_time() - started)
    first, *rest = sizes
    gains = {s: statistics.median(a / b for a, b in zip(seconds[first], seconds[s], strict=True)) for s in rest}
    speed = len(asked) / statistics.median(seconds[first])
    return [f"{speed:.1f}", *(f"{gains[size]:.2f}" for size in rest), str(sum(told.values()))]


def main(words: Sequence[str]) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--documents", type=int, default=48)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args(words)
    torch.set_num_threads(1)
    loaded, asked = pico(), questions(given.documents)
    first, *rest = given.sizes
    table = Table("method", f"documents/s by {first}", *(f"gain by {size}" for size in rest), "answers that differ")
    for name, reducer in METHODS.items():
        table.add_row(name, *measure(loaded, reducer, asked, given.sizes, given.repeats))
    Console().print(table)
