"""Reducing between attention and MLP of an unmodified transformer block.

The block computes ``x + mlp(norm(x))`` on the sequence behind its attention. Three hooks turn that into
``y + mlp(norm(y))`` for a shorter y: the norm gets y, what comes out of the MLP (and of a norm behind it) is put aside
(the block adds a zero instead), and the block's own output is replaced by the sum.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from torch import Tensor, nn

from winnow.models.engine.norms import scaled


class BeforeMLP:
    """The three hooks of one block.

    Parameters
    ----------
    reduce : callable
        Maps hidden states ``(batch, n, width)`` behind the attention to ``(batch, n', width)``; returns its argument
        itself where nothing is to be done.
    """

    def __init__(self, reduce: Callable[[Tensor], Tensor]) -> None:
        self._reduce = reduce
        self._reduced: Tensor | None = None
        self._mlp: Tensor | None = None

    def hook(self, stack: ExitStack, block: nn.Module, norm: str, last: str | None = None) -> None:
        """Hook into `block` until the stack closes; names of the norm before its MLP and of one behind, if there is."""
        inner: Any = block
        for handle in (
            getattr(inner, norm).register_forward_pre_hook(self._before_norm),
            getattr(inner, last or "mlp").register_forward_hook(self._after_mlp),
            # first of all hooks on the block, so that whoever records its output records the reduced one
            inner.register_forward_hook(self._after_block, prepend=True),
        ):
            stack.callback(handle.remove)

    def _before_norm(self, module: nn.Module, args: tuple[Tensor]) -> tuple[Tensor] | None:
        reduced = self._reduce(args[0])
        self._reduced = None if reduced is args[0] else reduced
        return None if self._reduced is None else (self._reduced,)

    def _after_mlp(self, module: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor | None:
        if self._reduced is None:
            return None
        self._mlp = output
        return output.new_zeros(1)

    def _after_block(self, module: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor | None:
        if self._reduced is None or self._mlp is None:
            return None
        replaced = scaled(module, self._reduced + self._mlp)
        self._reduced = self._mlp = None
        return replaced
