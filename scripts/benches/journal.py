"""What a large run costs besides its model: bytes a document, peak memory through answering, resuming and finishing.

    python scripts/bench.py journal --documents 50000 --tokens 6272 [--method merge]

The documents are questions of a made-up benchmark without pictures; a random choice of tokens stands for a method,
since nothing of it compresses. The rest is what a run does: its journal, resuming after an end in the middle,
lmms-eval's scoring, Parquet at the finish, and scoring anew from stored answers. Each stage is a process of its own;
memory is the peak of the resident set above that once the documents are loaded.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import lmms_eval.evaluator  # noqa: F401 - libraries are no part of what a document costs
import numpy as np
import pyarrow.parquet  # noqa: F401
import torch

from winnow.harness.bench.memory import peak_memory
from winnow.harness.common.process import SETTINGS
from winnow.harness.config.overrides import cell_from
from winnow.harness.data.document import Document
from winnow.harness.plan.build import build_method
from winnow.harness.run.answer import batches
from winnow.harness.run.cell_run import CellRun, key_of
from winnow.harness.run.claim import Claim
from winnow.harness.run.fate import pack
from winnow.harness.run.loaded import LoadedModel
from winnow.harness.run.record import Row
from winnow.harness.run.stop import Stop, StoppedError
from winnow.harness.run.store import Run
from winnow.harness.sweep import group

STAGES = ("answer one half", "resume, answer the other, finish", "score anew from stored answers")
LAYERS, FRAMES, RATIO = 28, 32, 0.25
YAML = """
task: long
dataset_path: json
dataset_kwargs: {data_files: {test: ROWS}}
test_split: test
output_type: generate_until
doc_to_visual: !function utils.doc_to_visual
doc_to_text: question
doc_to_target: answer
process_results: !function utils.process_results
generation_kwargs: {max_new_tokens: 4, do_sample: false}
metric_list: [{metric: right, aggregation: mean, higher_is_better: true}]
"""
UTILS = """
def doc_to_visual(doc):
    return []

def process_results(doc, results):
    return {"right": float(results[0] == doc["answer"])}
"""


def make(folder: Path, documents: int) -> None:
    """Write the benchmark."""
    rows = ({"question": f"Question {n}: what is seen in video {n}? " * 4, "answer": f"{n}"} for n in range(documents))
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "long.yaml").write_text(YAML.replace("ROWS", str(folder / "rows.jsonl")))
    (folder / "utils.py").write_text(UTILS)


def fate(tokens: int, merge: bool, random: np.random.Generator) -> tuple[int, bytes]:
    """What a method that chooses at random does to a prompt, and how many tokens it keeps."""
    kept, anchor = random.random(tokens) < RATIO, np.arange(tokens)
    if merge:
        for frame in np.array_split(np.arange(tokens), FRAMES):
            anchor[frame] = np.where(kept[frame], frame, random.choice(frame[kept[frame]], len(frame)))
    return int(kept.sum()), pack(np.where(kept, LAYERS - 1, 1), anchor)


def rows_of(batch: Sequence[Document], tokens: int, merge: bool, random: np.random.Generator) -> Iterator[Row]:
    """Rows as a model would make them."""
    for document in batch:
        kept, packed = fate(tokens, merge, random)
        visual = [tokens] * 2 + [kept] * (LAYERS - 2)
        yield Row(
            *(document.task, document.doc_id, document.fingerprint, f"{document.doc_id}"),
            length=tokens + 40, visual=tokens, visual_per_layer=visual, tokens_per_layer=[n + 40 for n in visual],
            fate=packed, grids=[[FRAMES, 14, 14]], media=f"{document.doc_id:012x}.mp4", readers=["pyav"], seconds=0.5,
        )  # fmt: skip


def answering(tokens: int, merge: bool, most: int) -> Any:
    """What stands for the model."""

    def answer(works: Sequence[CellRun], documents: Sequence[Document], *_: object) -> None:
        random = np.random.default_rng(0)
        for number, batch in enumerate(batches(documents, 8)):
            (work,) = works
            if work.missing(batch):
                work.keep(rows_of(batch, tokens, merge, random), {key_of(document) for document in batch})
            if (number + 1) * 8 >= most:
                raise StoppedError("half of it")

    return answer


def stage(number: int, place: Path, documents: int, tokens: int, merge: bool) -> None:
    """Run one stage in this process, and print its figures."""
    words = [
        "model=llava_ov",
        "model.weights=random",
        "tasks.tasks=[long]",
        f"tasks.folder={place}",
        "tasks.prepare=null",
        "tasks.metric=right",
    ]
    run = Run(cell_from([*words, f"results={place / 'runs'}", "batch_size=8"]))
    model = answering(tokens, merge, documents // 2 if number == 0 else documents + 8)
    built = {run.id: build_method(run.cell)}
    with LoadedModel() as kept, Claim(run.folder) as claim, patch.object(group, "answer_all", model):
        kept.tasks(run.cell)
        started = time.monotonic()
        with peak_memory(torch.device("cpu")) as peak:
            try:
                if number == 2:
                    run.reopen("asked for")
                group.run_group({run: claim}, built, kept, Stop())
            except StoppedError:
                pass
    size = sum(path.stat().st_size for path in (run.folder / "journal").glob("*"))
    told = f", {size / (documents // 2):.0f} bytes a document" if number == 0 else f", finished: {run.done}"
    print(f"{STAGES[number]}: {(peak.bytes or 0) / 1e6:.0f} MB, {time.monotonic() - started:.0f} s{told}")


def main(words: Sequence[str]) -> None:
    """Run all stages."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--documents", type=int, default=2000)
    parser.add_argument("--tokens", type=int, default=6272)
    parser.add_argument("--method", choices=("cut", "merge"), default="cut")
    parser.add_argument("--stage", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--place", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args(words)
    if asked.stage is not None:
        return stage(asked.stage, asked.place, asked.documents, asked.tokens, asked.method == "merge")
    with tempfile.TemporaryDirectory() as place:
        make(Path(place), asked.documents)
        environment = os.environ | SETTINGS | {"WINNOW_CACHE": f"{place}/cache", "HF_HOME": f"{place}/home"}
        for number in range(len(STAGES)):
            command = [sys.executable, *sys.argv, "--stage", f"{number}", "--place", place]
            subprocess.run(command, check=True, env=environment)
    return None
