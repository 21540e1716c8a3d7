"""Reads queries, keys and values out of unmodified attention modules, whatever the attention implementation.

transformers asks one process-wide table for its attention function at every call. While a tap is open, the table hands
out a wrapper that shows roped queries and keys to an observer and then calls the original function; the mask builder
still sees the implementation's own name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

Observer = Callable[[int, Tensor, Tensor, Tensor, float], None]
"""Called with the layer, query ``(batch, heads, n, d)``, key and value ``(batch, kv_heads, n, d)``, logits' scaling."""


@contextmanager
def tap(modules: Mapping[nn.Module, int], observe: Observer) -> Iterator[None]:
    """Show the attention inputs of `modules` (attention module -> layer) to `observe` while the context is open."""
    table = ALL_ATTENTION_FUNCTIONS
    outer = table.__dict__.get("get_interface")
    lookup = table.get_interface

    def get_interface(implementation: str, default: Callable[..., Any]) -> Callable[..., Any]:
        attention = lookup(implementation, default)

        def tapped(module: nn.Module, query: Tensor, key: Tensor, value: Tensor, *args: Any, **kwargs: Any) -> Any:
            if module in modules:
                scaling = kwargs.get("scaling")
                observe(modules[module], query, key, value, query.shape[-1] ** -0.5 if scaling is None else scaling)
            return attention(module, query, key, value, *args, **kwargs)

        return tapped

    table.__dict__["get_interface"] = get_interface
    try:
        yield
    finally:
        if outer is None:
            del table.__dict__["get_interface"]
        else:
            table.__dict__["get_interface"] = outer
