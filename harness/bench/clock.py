"""Where the time of one generation goes: a stack of phases, each instant charged to the innermost one."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial, wraps
from typing import Any

import torch

from winnow.models.engine.session import Session
from winnow.models.engine.tower_session import TowerSession
from winnow.models.families.base import Parts

REST, TOWER, PROJECTOR, REDUCER, PREFILL, FIRST = "rest", "tower", "projector", "reducer", "prefill", "first token"
PHASES = ("decode", "preprocess", TOWER, PROJECTOR, REDUCER, PREFILL, FIRST, REST)
"""Of the time to the first token. ``rest``: embedding, pooling, masks, the generation loop."""


class Clock:
    """Marks on a device's own time line: events on CUDA, which cost no waiting, else the wall clock.

    Parameters
    ----------
    device : torch.device
    kind : {"wall", "cpu"}
        On a CPU, count what passes or what this process computes, in all its threads.
    """

    def __init__(self, device: torch.device, kind: str = "wall") -> None:
        self._device, self._cuda = device, device.type == "cuda"
        self._read = time.process_time if kind == "cpu" else time.perf_counter
        self._marks: list[tuple[str, Any]] = []
        self._stack: list[str] = []

    def now(self) -> Any:
        """Make a mark."""
        if not self._cuda:
            return self._read()
        event = torch.cuda.Event(enable_timing=True)
        event.record(torch.cuda.current_stream(self._device))
        return event

    def wait(self) -> None:
        """Wait until the device has done what it was given."""
        if self._cuda:
            torch.cuda.synchronize(self._device)

    def seconds(self, start: Any, stop: Any) -> float:
        """Time between two marks, once the device has passed both."""
        return float(start.elapsed_time(stop)) / 1e3 if self._cuda else float(stop - start)

    def start(self) -> None:
        """Begin to charge, to `REST`."""
        self._marks, self._stack = [], []
        self._push(REST)

    def stop(self) -> None:
        """End what is charged; later phases are not."""
        self._marks.append(("", self.now()))
        self._stack = []

    def phases(self) -> dict[str, float]:
        """Seconds of each phase; call `wait` first."""
        charged: dict[str, float] = {}
        for (name, mark), (_, following) in zip(self._marks, self._marks[1:], strict=False):
            charged[name] = charged.get(name, 0.0) + self.seconds(mark, following)
        return charged

    def enter(self, name: str) -> None:
        """Charge to `name` until `leave`, if the clock runs."""
        if self._stack:
            self._push(name)

    def leave(self) -> None:
        """Charge again to what was charged before."""
        if self._stack:
            self._stack.pop()
            self._marks.append((self._stack[-1], self.now()))

    def charge(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a function, so that its calls are charged to `name`."""

        @wraps(call)
        def charged(*args: Any, **kwargs: Any) -> Any:
            self.enter(name)
            try:
                return call(*args, **kwargs)
            finally:
                self.leave()

        return charged

    def base(self, name: str) -> None:
        """Charge what no inner phase takes to `name` from now on."""
        if self._stack:
            self._stack[0] = name
            self._marks.append((self._stack[-1], self.now()))

    def _push(self, name: str) -> None:
        self._stack.append(name)
        self._marks.append((name, self.now()))


@contextmanager
def watched(parts: Parts, clock: Clock) -> Iterator[None]:
    """Charge tower, projector, LLM and everything that the engine does in its hooks, while the context is open.

    What a method attached inside this context does in its own hooks on these modules is charged to `REDUCER`.
    """

    def left(*_: Any) -> None:
        clock.leave()
        clock.base(FIRST)

    with ExitStack() as stack:
        towers = [(tower, TOWER) for tower, _ in parts.towers]
        for module, name in (*towers, (parts.projector, PROJECTOR), (parts.llm, PREFILL)):
            after = left if module is parts.llm else lambda *_: clock.leave()
            stack.callback(module.register_forward_pre_hook(partial(_enter, clock, name)).remove)
            stack.callback(module.register_forward_hook(after).remove)
        for owner in (Session, TowerSession):
            for name, function in list(vars(owner).items()):
                if inspect.isfunction(function) and name != "__init__":
                    setattr(owner, name, clock.charge(REDUCER, function))
                    stack.callback(setattr, owner, name, function)
        yield


def _enter(clock: Clock, name: str, *_: Any) -> None:
    clock.enter(name)
