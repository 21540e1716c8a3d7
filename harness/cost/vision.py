"""The vision side of a model: tower and projector, which no cost column of the papers counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from winnow.harness.cost.op import LINEAR_FLOPS, NORM_FLOPS, SOFTMAX_FLOPS, Op, linear
from winnow.harness.cost.physical import EAGER, TILE

COLOURS = 3
SQUARE = 4
"""Patches that are merged to one on the way."""


@dataclass(frozen=True)
class TowerShape:
    """Shape of a vision transformer.

    Attributes
    ----------
    layers, hidden, heads, mlp : int
        Blocks that run, model width, heads, width of the MLP.
    patches : int
        Patches of one frame, or of one temporal step where several frames share a patch.
    pixels : int
        Numbers in one patch.
    extra : int
        Tokens before the patches (CLS).
    gated : bool
        Whether the MLP has a gate, so three linear layers instead of two.
    window : int or None
        Patches that a windowed block attends to at most; None: all blocks attend to the whole frame.
    full : tuple of int
        The blocks that attend to the whole frame although there are windows.
    merged_after : int
        Blocks behind which squares of 2 x 2 patches are merged to one, by attention among them and an MLP; 0: none.
    averaged : int
        Tokens of a frame to which a product of matrices averages its patches; 0: no such product.
    """

    layers: int
    hidden: int
    heads: int
    mlp: int
    patches: int
    pixels: int
    extra: int = 0
    gated: bool = False
    window: int | None = None
    full: tuple[int, ...] = ()
    merged_after: int = 0
    averaged: int = 0

    @classmethod
    def from_arch(cls, vision: Mapping[str, Any], tokens_per_frame: int, cls_token: bool) -> TowerShape:
        """Build a shape from ``arch.vision`` of a model's YAML.

        Parameters
        ----------
        vision : mapping
            ``layers, hidden, heads, mlp, image, patch``; ``temporal_patch`` frames share a patch; ``merge``: the tower
            takes pictures of any size, and merges squares of this side into one token; ``gated``; ``window``, the side
            of a window in pixels, and ``full_layers``;
            ``merged_after``, the blocks behind which squares of patches are merged on the way; ``averaged``, whether
            squares of patches become tokens by a product of matrices.
        tokens_per_frame : int
            Visual tokens of one frame as the LLM sees them; counts where there is a ``merge``.
        cls_token : bool
            Whether a CLS token stands before the patches; ``extra_tokens`` says so where methods cannot read it.
        """
        merge, patch = vision.get("merge"), int(vision["patch"])
        side = int(vision["image"]) // patch
        window = vision.get("window")
        return cls(
            **{name: int(vision[name]) for name in ("layers", "hidden", "heads", "mlp")},
            patches=tokens_per_frame * merge**2 if merge else side * side,
            pixels=COLOURS * patch**2 * int(vision.get("temporal_patch", 1)),
            extra=int(vision.get("extra_tokens", cls_token)),
            gated=bool(vision.get("gated", False)),
            window=(int(window) // patch) ** 2 if window else None,
            full=tuple(vision.get("full_layers", ())),
            merged_after=int(vision.get("merged_after", 0)),
            averaged=tokens_per_frame if vision.get("averaged") else 0,
        )

    @property
    def parameters(self) -> int:
        """Weights of all linear layers."""
        block = self.hidden * (4 * self.hidden + (3 if self.gated else 2) * self.mlp)
        merging = 4 * self.hidden**2 + SQUARE * (SQUARE + 1) * self.hidden * self.mlp if self.merged_after else 0
        return self.layers * block + self.pixels * self.hidden + merging


def tower_ops(
    shape: TowerShape, frames: int, kept: Sequence[int] | None = None, attn: str = "sdpa", width: float = 2
) -> list[Op]:
    """List the operators of the tower for one prompt.

    Parameters
    ----------
    shape : TowerShape
        The tower.
    frames : int
        Frames, or temporal steps.
    kept : sequence of int or None
        Patches of a frame that leave the attention of each block, if a method acts in the tower; blocks behind the end
        of the list process what the last one left.
    attn : str
        ``eager`` stores every score; a tower has no causal mask.
    width : float
        Bytes per element.
    """
    ops = [linear("patch_embed", frames * shape.patches, shape.pixels, shape.hidden, width)]
    present = shape.patches
    for block in range(shape.layers):
        left = present if not kept else kept[min(block, len(kept) - 1)]
        ops += _attention(shape, frames, present + shape.extra, block, attn, width)
        ops += _mlp(shape, frames * (left + shape.extra), width)
        present = left
        if block + 1 == shape.merged_after:
            ops += _merge(shape, frames, present, block, attn, width)
            present //= SQUARE
    if shape.averaged:
        ops.append(_average(shape, frames, width))
    return ops


def _merge(shape: TowerShape, frames: int, patches: int, block: int, attn: str, width: float) -> list[Op]:
    squares, inner = frames * patches // SQUARE, SQUARE * shape.mlp
    made = squares * inner
    return [
        *_attention(replace(shape, window=SQUARE, full=()), frames, patches, block, attn, width),
        linear("merge1", squares, SQUARE * shape.hidden, inner, width),
        Op("merge_act", 5 * made, load=made * width, store=made * width),
        linear("merge2", squares, inner, shape.hidden, width),
        *_around(frames * patches, shape.hidden, width),
    ]


def _average(shape: TowerShape, frames: int, width: float) -> Op:
    weights, made = shape.averaged * shape.patches, frames * shape.averaged * shape.hidden
    read = frames * (weights + shape.patches * shape.hidden)
    return Op("average", LINEAR_FLOPS * made * shape.patches, load=read * width, store=made * width)


def _attention(shape: TowerShape, frames: int, tokens: int, block: int, attn: str, width: float) -> list[Op]:
    n = frames * tokens
    seen = tokens if shape.window is None or block in shape.full else min(tokens, shape.window)
    scores, state = n * seen * shape.heads, n * shape.hidden * width
    product = LINEAR_FLOPS * n * seen * shape.hidden
    ops = [linear(name, n, shape.hidden, shape.hidden, width) for name in ("q_proj", "k_proj", "v_proj", "out_proj")]
    if attn == EAGER:
        ops += [
            Op("qk_matmul", product, load=2 * state, store=scores * width),
            Op("softmax", SOFTMAX_FLOPS * scores, load=scores * width, store=scores * width),
            Op("sv_matmul", product, load=scores * width + state, store=state),
        ]
    else:
        flops, streamed = 2 * product + SOFTMAX_FLOPS * scores, 2 * -(-seen // TILE) * state
        ops.append(Op("fused_attention", flops, load=state + streamed, store=state))
    return [*ops, *_around(n, shape.hidden, width)]


def _mlp(shape: TowerShape, n: int, width: float) -> list[Op]:
    names = ("gate_proj", "up_proj") if shape.gated else ("fc1",)
    inner = n * shape.mlp
    return [
        *(linear(name, n, shape.hidden, shape.mlp, width) for name in names),
        Op("mlp_act", 5 * inner, load=len(names) * inner * width, store=inner * width),
        linear("fc2", n, shape.mlp, shape.hidden, width),
        *_around(n, shape.hidden, width),
    ]


def _around(n: int, hidden: int, width: float) -> list[Op]:
    size = n * hidden
    return [
        Op("norm", NORM_FLOPS * size, load=size * width, store=size * width),
        Op("add", size, load=2 * size * width, store=size * width),
    ]


@dataclass(frozen=True)
class Linear:
    """A linear layer of the projector: the vectors of one frame that pass it, its inputs and outputs.

    Where tokens are pooled by attention it makes the keys, or the values, of the `patches` that each of them asks.
    """

    tokens: int
    inputs: int
    outputs: int
    patches: int = 0


def projector_from(arch: Mapping[str, Any], pixels: int = 1) -> tuple[Linear, ...]:
    """Read ``arch.projector`` of a model's YAML; what divides the pixels of a picture divides its vectors."""
    rows = arch.get("projector", ())
    return tuple(
        Linear(max(1, int(row["tokens"]) // pixels), int(row["in"]), int(row["out"]), int(row.get("patches", 0)))
        for row in rows
    )


def projector_ops(layers: Sequence[Linear], frames: int, most: int | None = None, width: float = 2) -> list[Op]:
    """List the projector's linear layers; at most `most` vectors of a frame pass where a method acts in the tower."""
    ops = []
    for i, layer in enumerate(layers):
        n = frames * (layer.tokens if most is None else min(most, layer.tokens))
        ops.append(linear(f"projector.{i}", n * max(1, layer.patches), layer.inputs, layer.outputs, width))
        if layer.patches:
            ops.append(_asked(f"projector.{i}.matmul", n, layer, width))
    return ops


def _asked(name: str, n: int, layer: Linear, width: float) -> Op:
    """What keys are to the queries, or values to the weights, of tokens that ask their patches."""
    flops = LINEAR_FLOPS * n * layer.patches * layer.outputs
    return Op(name, flops, load=n * (layer.patches + 1) * layer.outputs * width, store=n * layer.outputs * width)
