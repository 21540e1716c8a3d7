"""Reads queries, keys and values out of unmodified attention modules, whatever the attention implementation.

transformers asks one process-wide table for its attention function at every call. While a tap is open, the table hands
out a wrapper that shows roped queries and keys to an observer and then calls the original function; the mask builder
still sees the implementation's own name. Taps of several models, also in several threads, share the one wrapper, which
goes with the last of them, whatever their order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import Lock
from typing import Any

from torch import Tensor, nn

from winnow.models.transformers_api import ATTENTION_TABLE, LOOKUP

Observer = Callable[[int, Tensor, Tensor, Tensor, float], None]
"""Called with the layer, query ``(batch, heads, n, d)``, key and value ``(batch, kv_heads, n, d)``, logits' scaling."""

_changing = Lock()


class _Lookup:
    """Stands in for the table's method; knows who watches which module."""

    def __init__(self) -> None:
        self.before = vars(ATTENTION_TABLE).get(LOOKUP)
        self.original = getattr(ATTENTION_TABLE, LOOKUP)
        self.watched: dict[nn.Module, tuple[tuple[int, Observer], ...]] = {}

    def __call__(self, *args: Any, **kwargs: Any) -> Callable[..., Any]:
        attention = self.original(*args, **kwargs)

        def tapped(module: nn.Module, query: Tensor, key: Tensor, value: Tensor, *args: Any, **kwargs: Any) -> Any:
            scaling = kwargs.get("scaling")
            for number, observe in reversed(self.watched.get(module, ())):
                observe(number, query, key, value, query.shape[-1] ** -0.5 if scaling is None else scaling)
            return attention(module, query, key, value, *args, **kwargs)

        return tapped


@contextmanager
def tap(modules: Mapping[nn.Module, int], observe: Observer) -> Iterator[None]:
    """Show the attention inputs of `modules` (attention module -> layer) to `observe` while the context is open."""
    entries = {module: (number, observe) for module, number in modules.items()}
    with _changing:
        lookup = _installed()
        for module, entry in entries.items():
            lookup.watched[module] = (*lookup.watched.get(module, ()), entry)
    try:
        yield
    finally:
        with _changing:
            _forget(lookup, entries)


def _installed() -> _Lookup:
    """The wrapper, put into the table if it is not there."""
    table = vars(ATTENTION_TABLE)
    if not isinstance(table.get(LOOKUP), _Lookup):
        table[LOOKUP] = _Lookup()
    lookup: _Lookup = table[LOOKUP]
    return lookup


def _forget(lookup: _Lookup, entries: Mapping[nn.Module, tuple[int, Observer]]) -> None:
    """Stop watching; with nothing left to watch the table is as it was."""
    for module, entry in entries.items():
        left = tuple(other for other in lookup.watched.pop(module) if other is not entry)
        if left:
            lookup.watched[module] = left
    if not lookup.watched:
        del vars(ATTENTION_TABLE)[LOOKUP]
        if lookup.before is not None:
            vars(ATTENTION_TABLE)[LOOKUP] = lookup.before
