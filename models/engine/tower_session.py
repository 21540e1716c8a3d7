"""The hooks of a method that acts in the vision tower.

The tower ends with fewer vectors than the prompt has visual slots. The projector's hook fills them up again, so that
the model finds the number it expects, and the LLM's entrance drops the slots that hold nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from models.engine.frames import Frames
from models.engine.middle import Middle
from models.engine.tap import tap
from models.engine.tower import fresh_tower, replaced
from models.engine.trace import Recorder
from models.families.base import Family, Parts
from reducers.base import Reducer
from reducers.errors import UnsupportedError, WinnowError
from reducers.layout import Layout
from reducers.reduction import Reduction
from reducers.tower import Tower, TowerProbe


class TowerSession:
    """See the module; one per `attach`."""

    def __init__(self, parts: Parts, family: Family, reducer: Reducer, tower: Tower) -> None:
        outer: Any = parts.outer
        self.parts, self.reducer, self.tower = parts, reducer, tower
        self.slots = family.pooled_slots(outer.config)
        self.acting = reducer.blocks(self.tower)
        self.frames: Frames | None = None
        self.probes: dict[int, list[TowerProbe]] = {}
        for probe, block in reducer.tower_probes(self.tower):
            self.probes.setdefault(block, []).append(probe)

    def hook(self, stack: ExitStack) -> None:
        """Register everything, to be removed when the stack closes."""
        parts, blocks = self.parts, self.parts.blocks
        stack.enter_context(fresh_tower(parts.tower))
        handles = [
            blocks[0].register_forward_pre_hook(self._before_first, with_kwargs=True),
            parts.projector.register_forward_pre_hook(self._before_projector),
            parts.projector.register_forward_hook(self._after_projector),
        ]
        inside = [block for block in self.acting if block < self.tower.used]
        for number in inside:
            Middle(partial(self._inside, number)).hook(stack, blocks[number], "layer_norm2")
        behind = blocks[min(inside) + 1 :] if inside else ()
        handles += [block.register_forward_pre_hook(self._before_block, with_kwargs=True) for block in behind]
        for handle in handles:
            stack.callback(handle.remove)
        attention: dict[nn.Module, int] = {}
        for number in self.probes:
            block_: Any = blocks[number]
            attention[block_.self_attn] = number
        if attention:
            stack.enter_context(tap(attention, self._observe))
        self._guard(stack)

    def _guard(self, stack: ExitStack) -> None:
        """Keep the model's pooling off vectors that are no grid any more, and refuse its packing of tiles."""
        outer: Any = self.parts.outer
        if self.slots is None:
            return
        pool, pack = outer.apply_pooling, outer.pack_image_features

        def pool_grids(features: Tensor) -> Tensor:
            return features if self._reduced else pool(features)

        def pack_tiles(*args: Any, **kwargs: Any) -> Any:
            if self._reduced:
                raise UnsupportedError(
                    f"reducer={self.reducer.name} ends with fewer vectors than the tiles of an any-resolution image "
                    "need: use videos, or a model with a pointwise projector"
                )
            return pack(*args, **kwargs)

        stack.enter_context(replaced(outer, "apply_pooling", pool_grids))
        stack.enter_context(replaced(outer, "pack_image_features", pack_tiles))

    @property
    def _reduced(self) -> bool:
        return self.frames is not None and self.frames.reduced

    def _before_first(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        hidden = args[0] if args else kwargs["hidden_states"]
        self.frames = Frames(self.reducer, self.tower, len(hidden))

    def _observe(self, block: int, query: Tensor, key: Tensor, value: Tensor, scaling: float) -> None:
        if self.frames is not None:
            self.frames.observe(block, self.probes[block], query, key, value, scaling)

    def _inside(self, block: int, hidden: Tensor) -> Tensor:
        return hidden if self.frames is None else self.frames.reduce(block, hidden, self.tower.cls)

    def _before_block(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Give the blocks behind a reduction their mask, as an argument or by name."""
        hidden = args[0] if args else kwargs["hidden_states"]
        attention: Any = module
        implementation = attention.self_attn.config._attn_implementation
        mask = None if self.frames is None else self.frames.mask(hidden, implementation)
        if mask is None:
            return None
        if "flash" in implementation:
            raise UnsupportedError(f"reducer={self.reducer.name} needs a mask in the tower: use model.attn=sdpa")
        return ((args[0], mask, *args[2:]), kwargs) if len(args) > 1 else (args, kwargs | {"attention_mask": mask})

    def _before_projector(self, module: nn.Module, args: tuple[Tensor]) -> tuple[Tensor] | None:
        if self.frames is None or self.tower.used not in self.acting:
            return None
        return (self.frames.reduce(self.tower.used, args[0], cls=False),)

    def _after_projector(self, module: nn.Module, args: tuple[Any, ...], features: Tensor) -> Tensor | None:
        if self.frames is None or not self.frames.reduced:
            return None
        if self.slots is not None and features.shape[1] > self.slots:
            raise UnsupportedError(
                f"reducer={self.reducer.name} keeps {features.shape[1]} vectors a frame, but the pooled frame has only "
                f"{self.slots} slots: keep fewer"
            )
        return self.frames.scatter(features, self.slots)

    def answers(self, layouts: Sequence[Layout]) -> list[Reduction | None]:
        """What the entrance has to drop: the slots without a vector, per prompt."""
        if self.frames is None or not self.frames.reduced:
            return [None] * len(layouts)
        kept = self.frames.slots(self.slots)
        total = sum(span.frames for layout in layouts for span in layout.spans)
        copies, rest = divmod(total, len(kept))
        if rest or not copies:
            raise WinnowError(f"{len(kept)} frames went through the tower, but the prompts have {total}")
        answers: list[Reduction | None] = []
        place = 0
        for layout in layouts[::copies]:
            frames = sum(span.frames for span in layout.spans)
            answers += [self._answer(layout, kept[place : place + frames])] * copies
            place += frames
        return answers

    def _answer(self, layout: Layout, kept: Sequence[Tensor]) -> Reduction | None:
        keep, frame = [], 0
        for span in layout.spans:
            for positions in span.positions.view(span.frames, -1):
                keep.append(positions[kept[frame]])
                frame += 1
        if not keep:
            return None
        return Reduction(torch.cat(keep), positions=getattr(self.reducer, "positions", "keep"))

    def provenance(self, recorders: Sequence[Recorder]) -> None:
        """Tell the traces which patch was merged into which; unknown where the model pools."""
        if self.frames is None or self.slots is not None:
            return
        copies = max(1, sum(span.frames for r in recorders for span in r.layout.spans) // len(self.frames.anchor))
        place = 0
        for number in range(0, len(recorders), copies):
            frames = sum(span.frames for span in recorders[number].layout.spans)
            moved = [x + i * self.tower.patches for i, x in enumerate(self.frames.anchor[place : place + frames])]
            for recorder in recorders[number : number + copies] if moved else ():
                recorder.anchor = torch.cat(moved)
            place += frames
