"""Measurements of `winnow bench`, as far as they are of a run's method on its model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from winnow.harness.common import files
from winnow.harness.run.result import Result


def read_benches(folder: Path) -> list[dict[str, Any]]:
    """Read every measurement of a folder; none where there is no such folder."""
    return [files.read_json(path) for path in sorted(folder.glob("*.json"))]


def benches_of(result: Result, benches: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Find the measurements of a run's method, with all of its knobs, on its model."""
    return [*_benches_of(result, benches)]


def _benches_of(result: Result, benches: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for bench in benches:
        named = bench["identity"]
        name = next((name for name, knobs in named["knobs"].items() if knobs == result["knobs"]), None)
        if name in bench["methods"] and bench["model"] == result["model"] and named["settings"]["tower"] != "once":
            yield {
                "batch": named["batch"],
                "new_tokens": named["settings"]["new_tokens"],
                "rounds": bench["methods"][name]["rounds"],
                "base": bench["methods"][bench["baseline"]]["rounds"],
            }
