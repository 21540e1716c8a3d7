"""The hooks of a method that acts in the vision tower.

The tower ends with fewer vectors than the prompt has visual slots. The projector's hook fills them up again, so that
the model finds the number it expects, and the LLM's entrance drops the slots that hold nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from winnow.models.engine.before_mlp import BeforeMLP
from winnow.models.engine.reuse import fresh_tower, replaced
from winnow.models.engine.tap import tap
from winnow.models.engine.texts import Texts
from winnow.models.engine.tower_pass import TowerPass
from winnow.models.engine.trace import Recorder
from winnow.models.families.base import Family, Parts
from winnow.models.loading.pooling_head import load_pooling_head
from winnow.models.loading.text_tower import load_text_tower
from winnow.models.transformers_api import attention_of
from winnow.reducers.core.base import Reducer
from winnow.reducers.core.errors import UnsupportedError, WinnowError
from winnow.reducers.core.layout import Layout, Span
from winnow.reducers.core.reduction import Reduction
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import PooledByHead, TextMatch, Tower, TowerProbe, Uncut
from winnow.reducers.core.tower_statistics import text_match


class TowerSession:
    """See the module; one per `attach`."""

    def __init__(self, parts: Parts, family: Family, reducer: Reducer, tower: Tower, texts: Sequence[str] = ()) -> None:
        outer: Any = parts.outer
        self.parts, self.reducer, self.tower = parts, reducer, tower
        self.slots = family.pooled_slots(outer.config)
        self.sites = [site for site in reducer.sites(len(parts.layers), tower) if site.in_tower]
        self.passes: dict[int, TowerPass] = {}
        self.current = 0
        self.cls_of = {1} if family.video_cls else set()
        self.pooling = family.pooling
        self.probes: dict[int, list[TowerProbe]] = {}
        self.beside: list[TextMatch | PooledByHead] = []
        for probe, block in reducer.tower_probes(self.tower):
            if isinstance(probe, TextMatch | PooledByHead):
                self.beside.append(probe)
            else:
                self.probes.setdefault(block, []).append(probe)
        self.texts = Texts(texts, reducer.name if any(isinstance(probe, TextMatch) for probe in self.beside) else "")

    def hook(self, stack: ExitStack) -> None:
        """Register everything, to be removed when the stack closes."""
        for number, (tower, blocks) in enumerate(self.parts.towers):
            stack.enter_context(fresh_tower(tower))
            self._hook_blocks(stack, number, blocks)
        projector = self.parts.projector
        stack.callback(projector.register_forward_pre_hook(self._before_projector).remove)
        stack.callback(projector.register_forward_hook(self._after_projector).remove)
        self._guard(stack)

    def _hook_blocks(self, stack: ExitStack, tower: int, blocks: Sequence[nn.Module]) -> None:
        """Hook into the blocks of one of the towers."""
        opening = blocks[0].register_forward_pre_hook(partial(self._before_first, tower), with_kwargs=True)
        stack.callback(opening.remove)
        inside = [site for site in self.sites if site.kind == "tower"]
        for site in inside:
            BeforeMLP(partial(self._inside, site)).hook(stack, blocks[site.number], "layer_norm2")
        for block in blocks[min(site.number for site in inside) + 1 :] if inside else ():
            stack.callback(block.register_forward_pre_hook(self._before_block, with_kwargs=True).remove)
        attention: dict[nn.Module, int] = {}
        for number in self.probes:
            block_: Any = blocks[number]
            attention[block_.self_attn] = number
        if attention:
            stack.enter_context(tap(attention, self._observe))

    def _guard(self, stack: ExitStack) -> None:
        """Keep the model's pooling off vectors that are no grid any more, and refuse its packing of tiles."""
        outer: Any = self.parts.outer
        if self.slots is None:
            return
        pool: Any = getattr(outer, self.pooling)
        pack: Any = getattr(outer, "pack_image_features", None)  # only where images are tiled

        def pool_grids(features: Tensor) -> Tensor:
            features = self._at_features(features)
            return features if self._reduced else pool(features)

        def pack_tiles(*args: Any, **kwargs: Any) -> Any:
            if self._reduced:
                raise UnsupportedError(
                    f"reducer={self.reducer.name} ends with fewer vectors than the tiles of an any-resolution image "
                    "need: use videos, or a model with a pointwise projector"
                )
            return pack(*args, **kwargs)

        stack.enter_context(replaced(outer, self.pooling, pool_grids))
        if pack is not None:
            stack.enter_context(replaced(outer, "pack_image_features", pack_tiles))

    @property
    def frames(self) -> TowerPass | None:
        """The pass that is under way, or was last."""
        return self.passes.get(self.current)

    @property
    def _reduced(self) -> bool:
        return self.frames is not None and self.frames.reduced

    def _before_first(self, tower: int, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        hidden = args[0] if args else kwargs["hidden_states"]
        self.current = tower
        self.passes[tower] = TowerPass(self.reducer, self.tower, len(hidden))

    def _observe(self, block: int, query: Tensor, key: Tensor, value: Tensor, scaling: float) -> None:
        if self.frames is not None:
            self.frames.observe(block, self.probes[block], query, key, value, scaling)

    def _inside(self, site: Site, hidden: Tensor) -> Tensor:
        return hidden if self.frames is None else self.frames.reduce(site, hidden, self.tower.cls)

    def _before_block(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Give the blocks behind a reduction their mask, as an argument or by name."""
        hidden = args[0] if args else kwargs["hidden_states"]
        attention: Any = module
        implementation = attention_of(attention.self_attn.config)
        mask = None if self.frames is None else self.frames.mask(hidden, implementation)
        if mask is None:
            return None
        if "flash" in implementation:
            raise UnsupportedError(f"reducer={self.reducer.name} needs a mask in the tower: use model.attn=sdpa")
        return ((args[0], mask, *args[2:]), kwargs) if len(args) > 1 else (args, kwargs | {"attention_mask": mask})

    def _at_features(self, features: Tensor) -> Tensor:
        """Ask the method behind the tower: once, before the projector or a pooling that stands in front of it."""
        frames, site = self.frames, Site.features(self.tower)
        if frames is None or frames.closed:
            return features
        frames.closed, cls = True, self.current in self.cls_of
        for probe in self.beside:
            states = [state[: len(index)] for state, index in zip(features[:, int(cls) :], frames.index, strict=True)]
            values = self._match(probe, states) if isinstance(probe, TextMatch) else self._pool(probe, states)
            for signals, value in zip(frames.signals, values, strict=True):
                signals[probe, self.tower.used] = value
        return frames.reduce(site, features, cls) if site in self.sites else features

    def _match(self, probe: TextMatch, frames: Sequence[Tensor]) -> list[Tensor]:
        """Compare the patches of each frame, ``(n, width)``, with the text of its prompt."""
        texts = self.texts.of_frames(len(frames), self.current)
        if len(texts) != len(frames):
            raise self._unread()
        beside = load_text_tower(probe.checkpoint, frames[0].shape[1], str(frames[0].device))
        read = {text: beside.read(text, probe.whole) for text in dict.fromkeys(texts)}
        return [
            text_match(beside.look(state), read[text], probe.cosine) for state, text in zip(frames, texts, strict=True)
        ]

    def _pool(self, probe: PooledByHead, frames: Sequence[Tensor]) -> list[Tensor]:
        """What a head makes of each frame, ``(n, width)``."""
        width, device = frames[0].shape[1], str(frames[0].device)
        beside = load_pooling_head(probe.checkpoint, width, self.tower.used, device)
        return [beside.look(state) for state in frames]

    def _before_projector(self, module: nn.Module, args: tuple[Tensor]) -> tuple[Tensor]:
        return (self._at_features(args[0]),)

    def _after_projector(self, module: nn.Module, args: tuple[Any, ...], features: Tensor) -> Tensor | None:
        if self.frames is None or not self.frames.reduced:
            return None
        if self.slots is not None and features.shape[1] > self.slots:
            raise UnsupportedError(
                f"reducer={self.reducer.name} keeps {features.shape[1]} vectors a frame, but the pooled frame has only "
                f"{self.slots} slots: keep fewer"
            )
        return self.frames.scatter(features, self.slots, cls=self.current in self.cls_of)

    def answers(self, layouts: Sequence[Layout]) -> list[Reduction | None]:
        """What the entrance has to drop: the slots without a vector, per prompt."""
        passes = {span.tower: self.passes.get(span.tower) for layout in layouts for span in layout.spans}
        if not any(frames is not None and frames.reduced for frames in passes.values()):
            return [None] * len(layouts)
        copies = {self._copies(frames, tower, layouts) for tower, frames in passes.items()}
        if len(copies) > 1:
            raise WinnowError("the prompts repeat their images and their videos by different numbers")
        kept = {tower: iter(frames.slots(self.slots)) for tower, frames in passes.items() if frames is not None}
        (times,) = copies
        if self.reducer.together and sum(bool(layout.spans) for layout in layouts[::times]) > 1:
            raise UnsupportedError(
                f"reducer={self.reducer.name} counts over all pictures that are encoded together, so that one prompt "
                "would change another: use batch_size=1"
            )
        return [answer for layout in layouts[::times] for answer in [self._answer(layout, kept)] * times]

    def read(self, layouts: Sequence[Layout]) -> list[dict[tuple[TowerProbe, int], Tensor]]:
        """What the blocks computed, on the axis of each prompt, for a method that acts at the entrance alone."""
        towers = {span.tower for layout in layouts for span in layout.spans}
        if self.sites or not towers:
            return [{} for _ in layouts]
        passes = {tower: self.passes[tower] for tower in towers}
        try:
            times = max(self._copies(frames, tower, layouts) for tower, frames in passes.items())
        except WinnowError as error:
            raise self._unread() from error
        left = {tower: iter(frames.signals) for tower, frames in passes.items()}
        return [found for layout in layouts[::times] for found in [self._read(layout, left)] * times]

    def _read(
        self, layout: Layout, left: Mapping[int, Iterator[Mapping[tuple[TowerProbe, int], Tensor]]]
    ) -> dict[tuple[TowerProbe, int], Tensor]:
        found: dict[tuple[TowerProbe, int], Tensor] = {}
        uncut: dict[tuple[TowerProbe, int], list[Tensor]] = {}
        for span in layout.spans:
            for cells in span.cells:
                signals = next(left[span.tower], None)
                if signals is None or (span.patches is not None and not self.reducer.reads_tiles):
                    raise self._unread()
                for (probe, block), value in signals.items():
                    value = self._pooled(value.float().cpu(), len(cells))
                    row = found.setdefault((probe, block), value.new_zeros(layout.length, *value.shape[1:]))
                    row[span.positions[cells[cells >= 0]]] = value[cells >= 0]
                    if span.patches is not None:
                        uncut.setdefault((Uncut(probe), block), []).append(value)
        return found | {key: torch.stack(tiles) for key, tiles in uncut.items()}

    def _pooled(self, value: Tensor, tokens: int) -> Tensor:
        """One value for each token of a frame, pooled as the model pools its features."""
        if len(value) == tokens:
            return value
        if tokens != self.slots:
            raise self._unread()
        pool: Any = getattr(self.parts.outer, self.pooling)
        return torch.as_tensor(pool(value.reshape(1, len(value), -1))[0]).view(tokens, *value.shape[1:])

    def _unread(self) -> UnsupportedError:
        return UnsupportedError(
            f"reducer={self.reducer.name} reads the vision tower, through which tiles of an any-resolution image, or "
            "pictures beside videos, go apart: use videos alone, or a model with a pointwise projector"
        )

    @staticmethod
    def _copies(frames: TowerPass | None, tower: int, layouts: Sequence[Layout]) -> int:
        """How many prompts share each picture: beams and samples of one prompt do."""
        passed = 0 if frames is None else len(frames.index)
        total = sum(len(span.cells) for layout in layouts for span in layout.spans if span.tower == tower)
        copies, rest = divmod(total, passed) if passed else (0, 0)
        if rest or not copies:
            raise WinnowError(f"{passed} frames went through the tower, but the prompts have {total}")
        return copies

    def _answer(self, layout: Layout, kept: Mapping[int, Iterator[Tensor]]) -> Reduction | None:
        keep = [
            span.positions[cells[cells >= 0]]
            for span in layout.spans
            for cells in [patches[next(kept[span.tower])] for patches in span.cells]
        ]
        if not keep:
            return None
        return Reduction(torch.cat(keep).sort().values, positions=getattr(self.reducer, "positions", "keep"))

    def provenance(self, recorders: Sequence[Recorder]) -> None:
        """Tell the traces which patch was merged into which; unknown where the model pools."""
        if self.slots is not None:
            return
        layouts = [recorder.layout for recorder in recorders]
        towers = {span.tower for layout in layouts for span in layout.spans}
        anchors = {tower: iter(self.passes[tower].anchor) for tower in towers if tower in self.passes}
        copies = max((self._copies(self.passes[tower], tower, layouts) for tower in anchors), default=1)
        for number in range(0, len(recorders), copies):
            spans = layouts[number].spans
            found = [_anchors(span, anchors[span.tower]) for span in spans if span.tower in anchors]
            starts = torch.tensor([0, *map(len, found)]).cumsum(0)
            for recorder in recorders[number : number + copies] if found else ():
                recorder.anchor = torch.cat([own + start for own, start in zip(found, starts, strict=False)])


def _anchors(span: Span, anchors: Iterator[Tensor]) -> Tensor:
    """Per cell of a span the cell that it was merged into, itself where that was cut off; `anchors` are of patches."""
    merged = torch.arange(len(span))
    for cells in span.cells:
        into = cells[next(anchors)]
        known = (cells >= 0) & (into >= 0)
        merged[cells[known]] = into[known]
    return merged
