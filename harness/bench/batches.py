"""The same methods at several batch sizes: how throughput grows, without a server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from winnow.harness.bench.cells import choices_of

BATCH = "batch_size="


def by_batch(overrides: Sequence[str]) -> list[list[str]]:
    """The overrides of one measurement for each batch size that they list; the others stay as they are."""
    listed = next((word for word in overrides if word.startswith(BATCH)), None)
    if listed is None:
        return [[*overrides]]
    rest = [word for word in overrides if word != listed]
    return [[*rest, size] for size in choices_of(listed)]


def throughput(found: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    """One row a method: prompts a second at each batch size, decoding of the new tokens included; medians of rounds."""
    rows: dict[str, dict[str, str]] = {}
    for made in found:
        named = made["identity"]
        steps = named["settings"]["new_tokens"] - 1
        for name, method in made["methods"].items():
            seconds = [one["ttft"] + steps * (one["tpot"] or 0.0) for one in method["rounds"]]
            rate = named["batch"] / float(np.median(seconds))
            rows.setdefault(name, {"method": name})[f"batch {named['batch']}"] = f"{rate:.2f}"
    return [*rows.values()]
