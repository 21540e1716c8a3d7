"""Where the time of a process went, by the clock."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock


class Spent:
    """Seconds by kind of work; what runs beside other work is counted whole.

    The kinds: ``decode`` (of all processes that decode, together), ``wait`` (the model, for media), ``prepare``
    (prompts and pictures into tensors), ``model`` (vision tower and LLM) and ``score``.
    """

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self._lock = Lock()

    @contextmanager
    def on(self, kind: str) -> Iterator[None]:
        """Count the time of a block."""
        started = time.perf_counter()
        try:
            yield
        finally:
            with self._lock:
                self.seconds[kind] += time.perf_counter() - started  # type: ignore[assignment]

    def __str__(self) -> str:
        return ", ".join(f"{kind} {value:.1f} s" for kind, value in self.seconds.items())
