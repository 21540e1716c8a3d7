"""The life of one attached model: what each hook does in prefill and in decoding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from winnow.models.engine import checks
from winnow.models.engine.look_ahead import look_ahead
from winnow.models.engine.masks import explicit, narrow
from winnow.models.engine.prefill import Prefill
from winnow.models.engine.sequence import Stage, take
from winnow.models.engine.tower_session import TowerSession
from winnow.models.engine.trace import Trace
from winnow.models.families.base import Family, Parts
from winnow.models.transformers_api import attention_of, cache_of
from winnow.reducers.core.base import Reducer
from winnow.reducers.core.errors import UnsupportedError
from winnow.reducers.core.probes import Keys
from winnow.reducers.core.site import Site

Call = tuple[tuple[Any, ...], dict[str, Any]]


class Session:
    """Hooks of one `attach`.

    Parameters
    ----------
    parts, family, reducer
        What is attached to what.
    keys : sequence of str
        Sample keys in prompt order; empty: the prompt's place in the batch.
    relevance : sequence of Tensor or None
        Per prompt the relevance of its visual tokens.
    """

    def __init__(
        self,
        parts: Parts,
        family: Family,
        reducer: Reducer,
        keys: Sequence[str] = (),
        relevance: Sequence[Tensor | None] = (),
    ) -> None:
        outer: Any = parts.outer
        self.parts, self.family, self.reducer = parts, family, reducer
        self.keys, self.relevance = keys, relevance
        tower = family.tower(outer.config)
        self.depth = len(parts.layers)
        checks.check_sites(reducer, self.depth, tower)
        acts = reducer.acts_in_tower(self.depth, tower)
        self.tower = TowerSession(parts, family, reducer, tower) if tower is not None and acts else None
        self.trace = Trace()
        self.prefill: Prefill | None = None
        self.prefilling = False
        self._uncached: Tensor | None = None
        self._positions: Tensor | None = None
        self._numbered = False
        self._masks: dict[tuple[int, int], Tensor | None] = {}
        self._embeddings: dict[tuple[int, int], tuple[Tensor, tuple[Tensor, Tensor]]] = {}

    @property
    def implementation(self) -> str:
        """The LLM's attention implementation."""
        llm: Any = self.parts.llm
        return attention_of(llm.config)

    def before_model(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """At the whole model: refuse what only its LM head would notice."""
        checks.check_labels(kwargs)

    def before_outer(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """At the multimodal model: find the visual tokens, in prefill."""
        ids = checks.check_ids(kwargs.get("input_ids", args[0] if args else None))
        cache = cache_of(kwargs)
        checks.check_cache(cache)
        self._numbered = kwargs.get("position_ids") is not None
        self.prefilling = cache is None or cache.get_seq_length() == 0
        self._masks.clear()
        self._embeddings.clear()
        if self.prefilling:
            self._check_rerun(ids, cache, kwargs)
            self.prefill = self._open(ids, kwargs)
        elif self.prefill is None:
            raise UnsupportedError("this cache was filled outside of this attach(...): start with the whole prompt")
        elif self.prefill.entry is not None and ids.shape[1] > 1:
            raise UnsupportedError(
                "a conversation cannot go on after a reduction at the entrance: pass the whole prompt"
            )

    def _check_rerun(self, ids: Tensor, cache: object, kwargs: dict[str, Any]) -> None:
        """Refuse generation without a cache for methods whose signal would change at every step."""
        last, self._uncached = self._uncached, None
        if cache is not None or kwargs.get("use_cache"):
            return
        if self.reducer.probes(self.depth):
            width = ids.shape[1] - 1
            if last is not None and last.shape[1] == width and torch.equal(last, ids[:, :width]):
                raise UnsupportedError(
                    f"{self.reducer.name} reads attention anew at every step: use_cache=True is needed"
                )
            self._uncached = ids

    def _open(self, ids: Tensor, kwargs: dict[str, Any]) -> Prefill:
        mask = checks.check_padding(kwargs.get("attention_mask"), ids)
        lengths = mask.sum(1).tolist()
        prompts = [row[len(row) - n :].cpu() for row, n in zip(ids, lengths, strict=True)]
        layouts = self.family.layouts(self.parts.outer, prompts, kwargs)
        return Prefill(self.reducer, layouts, ids.shape[1], self.depth, self.keys, self.relevance)

    def before_llm(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
        """At the LLM's entrance: reduce the embeddings, and keep mask and positions true to them in decoding."""
        prefill = self.prefill
        assert prefill is not None
        if self.prefilling:
            kwargs = self._put_features_aside(prefill, kwargs)
            embeds = self._enter(prefill, kwargs["inputs_embeds"], kwargs.get("position_ids"))
            if prefill.entry is not None:
                kwargs = kwargs | self._entrance(prefill.entry, embeds, kwargs.get("position_ids"))
            return args, kwargs
        if prefill.entry is not None:
            return args, kwargs | self._step(prefill, prefill.entry, kwargs, self._numbered)
        return None

    @staticmethod
    def _put_features_aside(prefill: Prefill, kwargs: dict[str, Any]) -> dict[str, Any]:
        """Keep deepstack features from the LLM, whose books of visual tokens hold for the whole prompt alone."""
        places, features = kwargs.get("visual_pos_masks"), kwargs.get("deepstack_visual_embeds")
        if places is None or features is None:
            return kwargs
        for values in features:
            added = torch.zeros_like(kwargs["inputs_embeds"])
            added[places] = values.to(added)
            prefill.features.append(added)
        return kwargs | {"visual_pos_masks": None, "deepstack_visual_embeds": None}

    def after_layer(self, output: Tensor) -> Tensor | None:
        """Behind a decoder layer: add the deepstack features that belong there, in prefill."""
        if not self.prefilling or self.prefill is None or not self.prefill.features:
            return None
        return output + self.prefill.features.pop(0).to(output.device)

    def _enter(self, prefill: Prefill, embeds: Tensor, positions: Tensor | None) -> Tensor:
        """Drop the slots that the tower left empty, then ask the method."""
        entrance = Site.entrance(self.depth)
        if self.tower is not None:
            embeds = prefill.apply(self.tower.answers(prefill.layouts), entrance, embeds, positions)
            self.tower.provenance(prefill.recorders)
        return prefill.reduce(entrance, embeds, positions)

    @staticmethod
    def _entrance(entry: Stage, embeds: Tensor, positions: Tensor | None) -> dict[str, Any]:
        """Inputs of the LLM in prefill. The explicit mask keeps transformers from reading gaps as packed sequences."""
        columns = entry.columns.to(embeds.device)
        if entry.positions is not None:
            positions = entry.positions.to(embeds.device)
        elif positions is None:
            positions = columns
        else:
            positions = positions.expand(*positions.shape[:-2], *embeds.shape[:1], positions.shape[-1])
            positions = positions.gather(-1, columns.expand(*positions.shape[:-1], -1))
        return {
            "inputs_embeds": embeds,
            "attention_mask": entry.valid.long().to(embeds.device),
            "position_ids": positions,
        }

    @staticmethod
    def _step(prefill: Prefill, entry: Stage, kwargs: dict[str, Any], numbered: bool) -> dict[str, Any]:
        """Inputs of the LLM in decoding after a reduction at the entrance.

        Where the caller numbered nothing, the model counted from the cache of layer 0, which misses what is gone.
        """
        embeds, mask, positions = kwargs["inputs_embeds"], kwargs.get("attention_mask"), kwargs.get("position_ids")
        held, new = cache_of(kwargs).get_seq_length(), embeds.shape[1]
        grown = held - entry.columns.shape[1]
        if positions is None:
            positions = torch.arange(prefill.width + grown, prefill.width + grown + new, device=embeds.device)[None]
        elif not numbered:
            positions = positions + prefill.width - entry.columns.shape[1]
        if entry.shift is not None:
            positions = positions - entry.shift.to(embeds.device)[:, None]
        if mask is not None or entry.ragged:
            tail = torch.ones(len(embeds), grown + new, dtype=torch.long) if mask is None else mask[:, prefill.width :]
            mask = torch.cat([entry.valid.to(embeds.device, tail.dtype), tail.to(embeds.device)], 1)
        return {"attention_mask": mask, "position_ids": positions}

    def before_layer(self, layer: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
        """At a decoder layer: reduce where the method acts, and fit mask and positions to what is left."""
        prefill = self.prefill
        assert prefill is not None
        hidden = args[0] if args else kwargs["hidden_states"]
        if self.prefilling:
            if layer == 0:
                checks.check_empty(cache_of(kwargs))
            self._positions = kwargs.get("position_ids")
            if prefill.signals.wants_ahead(layer):
                query, key, scaling = look_ahead(
                    self.parts.layers[layer], hidden, self._rotary(prefill.stage(layer), hidden, kwargs)
                )
                prefill.signals.ahead(layer, prefill.index, query, key, scaling)
            if layer:  # the input of layer 0 is the entrance, where mask and positions are cut too
                hidden = prefill.reduce(Site.layer(layer, self.depth), hidden, self._positions)
            prefill.record()
        stage = prefill.stage(layer)
        if stage is None:
            return None
        kwargs = kwargs | self._fit(stage, hidden, kwargs)
        return ((hidden, *args[1:]), kwargs) if args else (args, kwargs | {"hidden_states": hidden})

    def _fit(self, stage: Stage, hidden: Tensor, kwargs: dict[str, Any]) -> dict[str, Any]:
        """Mask and rotary embedding for one layer; position ids go, as only flash attention reads them, wrongly."""
        mask, embeddings = self._mask(stage, hidden, kwargs), self._rotary(stage, hidden, kwargs)
        return {"attention_mask": mask, "position_embeddings": embeddings, "position_ids": None}

    def _rotary(self, stage: Stage | None, hidden: Tensor, kwargs: dict[str, Any]) -> tuple[Tensor, Tensor]:
        """Rotary cosine and sine of the tokens in `hidden`, the same for all layers of a stage."""
        cos, sin = kwargs["position_embeddings"]
        if stage is None:
            return cos, sin
        known = (id(stage), id(cos))
        if known not in self._embeddings:
            self._embeddings[known] = cos, self._gathered(stage, hidden, kwargs)
        return self._embeddings[known][1]

    def _gathered(self, stage: Stage, hidden: Tensor, kwargs: dict[str, Any]) -> tuple[Tensor, Tensor]:
        rotary: Any = self.parts.llm.rotary_emb
        cos, sin = kwargs["position_embeddings"]
        if self.prefilling:
            if stage.positions is not None:
                return rotary(hidden, stage.positions.to(hidden.device))
            return take(cos, stage.columns, 1), take(sin, stage.columns, 1)
        if stage.shift is not None and bool(stage.shift.any()):
            return rotary(hidden, kwargs["position_ids"].to(hidden.device) - stage.shift.to(hidden.device)[:, None])
        return cos, sin

    def _mask(self, stage: Stage, hidden: Tensor, kwargs: dict[str, Any]) -> Tensor | None:
        original = kwargs.get("attention_mask")
        known = (id(stage), id(original))
        if known not in self._masks:
            columns, valid = stage.columns, stage.valid
            if not self.prefilling:
                assert self.prefill is not None
                grown = torch.arange(self.prefill.entry_width, cache_of(kwargs).get_seq_length())
                columns = torch.cat([columns, grown.expand(len(columns), -1)], 1)
                valid = torch.cat([valid, torch.ones(len(columns), len(grown), dtype=torch.bool)], 1)
            device = hidden.device if original is None else original.device  # where layers lie on several devices
            columns, valid = columns.to(device), valid.to(device)
            mask = narrow(original, columns if self.prefilling else None, columns, valid)
            if original is None and stage.ragged:
                mask = explicit(valid, hidden.shape[1], self.implementation)
            self._masks[known] = mask
        return self._masks[known]

    def after_llm(self) -> None:
        """At the LLM's end: close the traces of a prefill."""
        if self.prefilling and self.prefill is not None:
            self.trace.prompts = self.prefill.finish(self.tower.tower if self.tower is not None else None)
            self.trace.frames = dict(self.tower.passes) if self.tower is not None else {}

    def observe(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scaling: float) -> None:
        """At a tapped attention: compute the statistics that were asked for, in prefill."""
        if self.prefilling and self.prefill is not None:
            self.prefill.signals.observe(layer, self.prefill.index, query, key, scaling)

    def after_key_projection(self, layer: int, keys: Tensor) -> None:
        """At a key projection, ``(batch, n, kv_heads * head_dim)``: keep what was asked for before RoPE."""
        if self.prefilling and self.prefill is not None:
            attention: Any = self.parts.layers[layer]
            keys = keys.unflatten(-1, (-1, attention.self_attn.head_dim)).transpose(1, 2)
            self.prefill.signals.keys(Keys(rope=False), layer, self.prefill.index, keys)

    def inside_layer(self, site: Site, hidden: Tensor) -> Tensor:
        """Between attention and MLP of a decoder layer: reduce, in prefill."""
        if not self.prefilling or self.prefill is None:
            return hidden
        return self.prefill.reduce(site, hidden, self._positions)
