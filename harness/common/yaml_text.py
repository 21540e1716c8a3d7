"""YAML in a fifth of the time: libyaml's reader and writer, where PyYAML has them and a text is no danger to them."""

from __future__ import annotations

from typing import Any

import yaml

DEEPEST = 1000
"""libyaml's reader has no bound of its own, and a text that nests far deeper ends the process."""
_READER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_WRITER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def load(text: str) -> Any:
    """Read plain YAML, whoever wrote it.

    Raises
    ------
    yaml.YAMLError, ValueError, RecursionError
        If it is none, or nests too deep.
    """
    return yaml.load(text, _READER if _flat(text) else yaml.SafeLoader)  # noqa: S506 - both are safe


def dump(value: object, **options: Any) -> str:
    """Write plain values in the order that they have."""
    written: str = yaml.dump(value, Dumper=_WRITER, sort_keys=False, allow_unicode=True, **options)
    return written


def _flat(text: str) -> bool:
    """Whether it cannot nest deeper than the bound: a level takes a bracket, or a column of its longest line."""
    return text.count("[") + text.count("{") < DEEPEST and max(map(len, text.split("\n"))) < DEEPEST
