"""Times that `winnow bench` measured, by model and method: what TTFT columns and plots show, and nothing else may."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from statistics import median
from typing import Any

from winnow.harness.common import files
from winnow.harness.plan.identity import STATE, short

FOLDER = Path("results/bench")


@dataclass(frozen=True)
class Time:
    """Median time to the first token in ms, and how many times quicker than the unreduced model beside it."""

    ms: float
    speedup: float


def method_key(inputs: Mapping[str, Any]) -> str:
    """Name a method by its settings, whatever its code."""
    return short(_bare(dict(inputs)))


def _bare(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _bare(item) for key, item in value.items() if key not in STATE}
    return [*map(_bare, value)] if isinstance(value, list) else value


@lru_cache(maxsize=8)
def times(folder: Path = FOLDER) -> Mapping[tuple[str, str], Time]:
    """Read all measurements: model and method -> its time; of several the last one read."""
    found: dict[tuple[str, str], Time] = {}
    for path in sorted(folder.glob("**/*.json")):
        made = files.read_json(path)
        if "methods" in made and "identity" in made:
            found |= _times(made)
    return found


def _times(made: Mapping[str, Any]) -> dict[tuple[str, str], Time]:
    base = [one["ttft"] for one in made["methods"][made["baseline"]]["rounds"]]
    found = {}
    for name, inputs in made["identity"]["methods"].items():
        own = [one["ttft"] for one in made["methods"][name]["rounds"]]
        if all(own) and all(base):
            ratio = median(b / o for b, o in zip(base, own, strict=False))
            found[made["model"], method_key(inputs)] = Time(1e3 * median(own), ratio)
    return found
