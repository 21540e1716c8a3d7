"""Reducing between attention and MLP of an unmodified transformer block.

The block computes ``x + mlp(norm(x))`` on the sequence behind its attention. Three hooks turn that into
``y + mlp(norm(y))`` for a shorter y: the norm gets y, what comes out of the MLP (and of a norm behind it) is put aside
(the block adds a zero instead), and the block's own output is replaced by the sum. Experts beside the MLP (Gemma 4)
read x by themselves, and four hooks more show them y.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from winnow.models.engine.norms import closed


class BeforeMLP:
    """The three hooks of one block.

    Parameters
    ----------
    reduce : callable
        Maps hidden states ``(batch, n, width)`` behind the attention to ``(batch, n', width)``; returns its argument
        itself where nothing is to be done.
    fed : callable
        What the block is fed besides of each token that is left, see `closed`.
    """

    def __init__(self, reduce: Callable[[Tensor], Tensor], fed: Callable[[], Tensor | None] = lambda: None) -> None:
        self._reduce, self._fed = reduce, fed
        self._reduced: Tensor | None = None
        self._mlp: Tensor | None = None
        self._tokens = 0
        self._routed: Tensor | None = None

    def hook(self, stack: ExitStack, block: nn.Module, norm: str, last: str | None = None) -> None:
        """Hook into `block` until the stack closes; names of the norm before its MLP and of one behind, if there is."""
        inner: Any = block
        for handle in (
            getattr(inner, norm).register_forward_pre_hook(self._before_norm),
            getattr(inner, last or "mlp").register_forward_hook(self._after_mlp),
            # first of all hooks on the block, so that whoever records its output records the reduced one
            inner.register_forward_hook(self._after_block, prepend=True),
            *(self._beside(inner) if hasattr(inner, "experts") else ()),
        ):
            stack.callback(handle.remove)

    def _before_norm(self, module: nn.Module, args: tuple[Tensor]) -> tuple[Tensor] | None:
        reduced = self._reduce(args[0])
        self._reduced, self._tokens = None if reduced is args[0] else reduced, args[0].shape[:-1].numel()
        return None if self._reduced is None else (self._reduced,)

    def _beside(self, inner: Any) -> Iterator[RemovableHandle]:
        yield inner.router.register_forward_pre_hook(self._before_experts)
        yield inner.pre_feedforward_layernorm_2.register_forward_pre_hook(self._before_experts)
        yield inner.experts.register_forward_hook(self._after_experts)
        yield inner.post_feedforward_layernorm_2.register_forward_pre_hook(self._behind_experts)

    def _before_experts(self, module: nn.Module, args: tuple[Tensor]) -> tuple[Tensor] | None:
        return None if self._reduced is None else (self._reduced.flatten(0, -2),)

    def _after_experts(self, module: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor | None:
        if self._reduced is None:
            return None
        self._routed = output
        return output.new_zeros(1, output.shape[-1]).expand(self._tokens, -1)  # which the block gives x's shape

    def _behind_experts(self, module: nn.Module, args: tuple[Tensor]) -> tuple[Tensor] | None:
        if self._reduced is None or self._routed is None:
            return None
        routed, self._routed = self._routed.view_as(self._reduced), None
        return (routed,)

    def _after_mlp(self, module: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor | None:
        if self._reduced is None:
            return None
        self._mlp = output
        return output.new_zeros(1)

    def _after_block(self, module: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor | None:
        if self._reduced is None or self._mlp is None:
            return None
        replaced = closed(module, self._reduced + self._mlp, self._fed())
        self._reduced = self._mlp = None
        return replaced
