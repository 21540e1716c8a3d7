"""Encode once: reuse the vision tower's output when the same pixels come again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers.utils import ModelOutput

from winnow.models.families import family_of

Timed = Callable[[], AbstractContextManager[Any]]


@dataclass
class Reuse:
    """How often the tower ran, and how often its last output was given again."""

    passes: int = 0
    spared: int = 0


@contextmanager
def reuse_tower(model: nn.Module, timed: Timed = nullcontext) -> Iterator[Reuse]:
    """Let the vision tower answer repeated pixels from memory while the context is open.

    Several methods then answer one batch for the price of one encoding; those that act in the tower encode anew. The
    last output is kept, with its pixels: the memory of one batch.

    Parameters
    ----------
    model : nn.Module
    timed : callable
        Makes a context that every pass of the tower is in, which ends when the device has done it.
    """
    reuse = Reuse()
    with ExitStack() as stack:
        for tower, _ in family_of(model).parts(model).towers:
            stack.enter_context(replaced(tower, "forward", _remembering(tower, reuse, timed)))
        yield reuse


def _remembering(tower: Any, reuse: Reuse, timed: Timed) -> Callable[..., Any]:
    """The forward of a tower that answers from memory when the last call comes again."""
    forward = _timed(tower.forward, timed)
    seen: dict[str, Any] = {}

    def remembered(pixel_values: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        asked = {"pixels": pixel_values} | kwargs
        known = seen.get("asked", {})
        if args or known.keys() != asked.keys() or not all(_same(known[name], asked[name]) for name in asked):
            seen.update(output=forward(pixel_values, *args, **kwargs), asked=asked)
            reuse.passes += 1
        else:
            reuse.spared += 1
        return _anew(seen["output"])

    remembered.fresh = getattr(tower.forward, "fresh", forward)  # type: ignore[attr-defined]
    return remembered


def _timed(forward: Callable[..., Any], timed: Timed) -> Callable[..., Any]:
    """The same forward within a context, from when the device is free until it has done the work."""
    if timed is nullcontext:
        return forward

    def measured(pixel_values: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        _wait_for(pixel_values.device)
        with timed():
            found = forward(pixel_values, *args, **kwargs)
            _wait_for(pixel_values.device)
        return found

    return measured


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@contextmanager
def fresh_tower(tower: Any) -> Iterator[None]:
    """Let the tower compute everything itself while the context is open, inside `reuse_tower` too."""
    with replaced(tower, "forward", getattr(tower.forward, "fresh", tower.forward)):
        yield


@contextmanager
def replaced(thing: Any, name: str, value: Any) -> Iterator[None]:
    """Set an attribute on an instance and leave the instance as it was."""
    missing = object()
    before = vars(thing).get(name, missing)
    vars(thing)[name] = value
    try:
        yield
    finally:
        if before is missing:
            del vars(thing)[name]
        else:
            vars(thing)[name] = before


def _anew(output: Any) -> Any:
    """The same output in an object of its own: some models write into what their tower returns."""
    return type(output)(**output) if isinstance(output, ModelOutput) else output


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        return a is b or (a.shape == b.shape and a.dtype == b.dtype and torch.equal(a, b))
    return bool(a == b) if type(a) is type(b) else False
