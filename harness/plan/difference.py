"""Why two runs are not one: what differs in what their identities were made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

ABSENT = "(nothing)"
LAYERS = {
    "answers": "new answers",
    "score": "a new score of the same answers",
    "report": "a new report of the same answers",
}


def why(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    """One line for each thing that differs, under what it leads to; empty for the same run.

    Parameters
    ----------
    ours, theirs : mapping
        `Identity.inputs` of both.
    """
    lines = []
    for layer, leads in LAYERS.items():
        found = [*differences(ours.get(layer), theirs.get(layer))]
        lines += [f"{leads}:"] if found else []
        lines += [f"  {name}: {_say(one)} | {_say(other)}" for name, one, other in found]
    return lines


def differences(one: Any, other: Any, name: str = "") -> Iterator[tuple[str, Any, Any]]:
    """The leaves of two nested mappings that are not equal, by their dotted names."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for key in sorted({*one, *other}, key=str):
            yield from differences(one.get(key, ABSENT), other.get(key, ABSENT), f"{name}.{key}" if name else str(key))
    elif _plain(one) != _plain(other):
        yield name, one, other


def _plain(value: Any) -> Any:
    return [*map(_plain, value)] if isinstance(value, list | tuple) else value


def _say(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
