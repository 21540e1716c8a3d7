"""Rows of long prompts take few bytes on the disk, and none of their tokens' in memory."""

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from winnow.harness.run import journal, traces
from winnow.harness.run.fate import pack
from winnow.harness.run.record import Row

TOKENS, DOCUMENTS, LAYERS = 6272, 300, 28


def rows(count: int = DOCUMENTS) -> Iterator[Row]:
    """Documents of which each keeps other tokens, a quarter; their questions have some ten lengths."""
    random, kept = np.random.default_rng(0), TOKENS // 4
    for number in range(count):
        last = np.ones(TOKENS, int)
        last[random.choice(TOKENS, kept, replace=False)] = LAYERS - 1
        text = number % 10
        length, visual = [text + TOKENS] * 2 + [text + kept] * 26, [TOKENS] * 2 + [kept] * 26
        yield Row(
            "task", number, f"{number:016x}", f"the answer {number}", length=length[0], visual=TOKENS,
            tokens_per_layer=length, visual_per_layer=visual, fate=pack(last, np.arange(TOKENS)),
            grids=[[32, 14, 14]], media=f"video-{number}.mp4", readers=["pyav"], seconds=0.5,
        )  # fmt: skip


def test_bytes_and_memory_of_a_document(tmp_path: Path) -> None:
    journal.Journal(tmp_path / "first").append(rows(1))  # imports what it needs
    tracemalloc.start()
    try:
        segment = journal.Journal(tmp_path)
        kept = segment.append(rows())
        held, peak = tracemalloc.get_traced_memory()
        assert segment.path.stat().st_size < 3000 * DOCUMENTS
        assert held < 1200 * DOCUMENTS and peak - held < 2_000_000
        found = list(journal.read(tmp_path).values())
        assert found == kept and tracemalloc.get_traced_memory()[0] - held < 1200 * DOCUMENTS
    finally:
        tracemalloc.stop()


def test_a_table_of_traces_gives_the_rows_back(tmp_path: Path) -> None:
    """Through more than one part of the table, and with rows that saw nothing."""
    text = Row("task", 10**6, "x", "no picture", tokens_per_layer=[3], visual_per_layer=[0], length=3, damage="cut")
    made = [*rows(traces.PART + 2), text]
    segment = journal.Journal(tmp_path / "journal")
    traces.write(tmp_path / "traces.parquet", journal.whole(segment.append(made)))
    assert list(traces.read(tmp_path / "traces.parquet")) == made
    assert list(traces.read(tmp_path / "none")) == []
