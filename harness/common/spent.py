"""Where the time of a process went, by the clock."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Lock, local

KINDS = ("decode", "prepare", "wait", "tower", "llm", "score")


class Spent:
    """Seconds by kind of work; what runs beside other work is counted whole, what runs within it is taken off it.

    The kinds: ``decode`` (of all processes that decode, together), ``prepare`` (prompts and pictures into tensors),
    ``wait`` (the model, for media that are not decoded and prepared yet), ``tower``, ``llm`` and ``score``.
    """

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self._lock, self._open = Lock(), local()

    @contextmanager
    def on(self, kind: str) -> Iterator[None]:
        """Count the time of a block, without that of blocks within it in the same thread."""
        stack: list[float] = self._open.__dict__.setdefault("within", [])
        stack.append(0.0)
        started = time.perf_counter()
        try:
            yield
        finally:
            whole, within = time.perf_counter() - started, stack.pop()
            if stack:
                stack[-1] += whole
            with self._lock:
                self.seconds[kind] += whole - within  # type: ignore[assignment]

    def now(self) -> dict[str, float]:
        """Seconds by kind until now."""
        with self._lock:
            return dict(self.seconds)

    def since(self, before: Mapping[str, float]) -> dict[str, float]:
        """Seconds by kind since an earlier look."""
        found = self.now()
        return {kind: round(found.get(kind, 0) - before.get(kind, 0), 3) for kind in KINDS}

    def __str__(self) -> str:
        return ", ".join(f"{kind} {self.seconds[kind]:.1f} s" for kind in KINDS if self.seconds[kind])
