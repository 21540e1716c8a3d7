"""What the tests of whole runs share."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

FASTV = ("reducer=fastv", "ratio=0.25", "schedule=pico_k", "schedule.k=5")
Run = Callable[..., Any]


def only(results: Path) -> Path:
    """The one run of a results folder."""
    (folder,) = (path.parent for path in results.glob("*/env.json"))
    return folder


def result_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return found


def samples_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for path in sorted(folder.glob("samples_*")) for line in path.read_text().splitlines()]


def counted(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> list[Any]:
    """Count the calls of a function."""
    calls: list[Any] = []
    original = getattr(module, name)

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        calls.append(args)
        return original(*args, **kwargs)

    monkeypatch.setattr(module, name, wrapper)
    return calls
