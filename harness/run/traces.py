"""``traces.parquet``: what a finished run keeps of each answered document, its tokens included."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from winnow.harness.common import files
from winnow.harness.run.fate import pack
from winnow.harness.run.record import PLAIN, Row

if TYPE_CHECKING:
    import pyarrow as pa

PART = 64
"""Rows that are in memory at once with all of their tokens."""


def write(path: Path, rows: Iterable[Row]) -> None:
    """Write the table, a few rows at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema, left = _schema(), iter(rows)

    def fill(draft: Path) -> None:
        with pq.ParquetWriter(draft, schema, compression="zstd") as writer:
            while part := [_plain(row) for row in islice(left, PART)]:
                writer.write_table(pa.Table.from_pylist(part, schema=schema))

    files.write(path, fill)


def read(path: Path) -> Iterator[Row]:
    """Read the answers back, one at a time; none of a table that holds no answers, nor what comes after a damage."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as table:
            names = [name for name in PLAIN if name in table.schema_arrow.names]
            if not {"task", "doc_id", "doc", "answer", "last_layer", "anchor"} <= set(table.schema_arrow.names):
                return
            for part in table.iter_batches(PART, columns=[*names, "last_layer", "anchor"]):
                fates = zip(lists(part["last_layer"]), lists(part["anchor"]), strict=True)
                for plain, fate in zip(part.select(names).to_pylist(), fates, strict=True):
                    yield Row(**{name: value for name, value in plain.items() if value is not None}, fate=pack(*fate))
    except (OSError, pa.ArrowException):
        return


def lists(column: Iterable[Any]) -> Iterator[Any]:
    """The values of each row of a column of lists, as arrays."""
    return (each.values.to_numpy(zero_copy_only=False) for each in column)


def _plain(row: Row) -> dict[str, Any]:
    last_layer, anchor = row.tokens
    return {name: getattr(row, name) for name in _schema().names[:-2]} | {"last_layer": last_layer, "anchor": anchor}


@cache
def _schema() -> pa.Schema:
    """The columns; those of one kind of number each, so that all parts of a table agree, the empty ones too."""
    import pyarrow as pa

    texts = dict.fromkeys(("task", "doc", "answer", "media", "damage"), pa.string())
    numbers = dict.fromkeys(("doc_id", "batch", "length", "visual", "generated"), pa.int64())
    counts = dict.fromkeys(("tokens_per_layer", "visual_per_layer"), pa.list_(pa.int32()))
    sure = {"cut": pa.bool_(), "logprob": pa.float64(), "options": pa.list_(pa.float64())}
    more = {"seconds": pa.float64(), "readers": pa.list_(pa.string()), "grids": pa.list_(pa.list_(pa.int32()))}
    entered = {"sinks": pa.list_(pa.int32()), "rank": pa.float64()}
    tokens = dict.fromkeys(("last_layer", "anchor"), pa.list_(pa.int32()))
    return pa.schema(texts | numbers | counts | sure | more | entered | tokens)
