"""The life of one attached model: what each hook does in prefill and in decoding."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, cast
from uuid import uuid4

import torch
from torch import Tensor, nn

from winnow.models.engine import checks
from winnow.models.engine.branch import Branch
from winnow.models.engine.calls import FORWARD, Call, check_call
from winnow.models.engine.choosing import Choosing
from winnow.models.engine.final import Final, columns, picked
from winnow.models.engine.fit import Fit
from winnow.models.engine.forward import Forward
from winnow.models.engine.ledger import Ledger, ledger_of
from winnow.models.engine.look_ahead import look_ahead
from winnow.models.engine.numbering import Numbering
from winnow.models.engine.opening import Opening, fresh, last, whole_kinds
from winnow.models.engine.pixel_session import PixelSession
from winnow.models.engine.prefill import Prefill
from winnow.models.engine.sequence import take
from winnow.models.engine.tower_session import TowerSession
from winnow.models.engine.trace import Trace
from winnow.models.engine.trunk import Trunk
from winnow.models.engine.windows import both_ways_layers, linear_layers, owners, windows
from winnow.models.families.base import Family, Parts
from winnow.models.transformers_api import FED, ROPE_DELTAS, cache_of, held_keys, shareable
from winnow.reducers.core.base import Reducer
from winnow.reducers.core.errors import UnsupportedError, WinnowError
from winnow.reducers.core.probes import Keys, KeysAhead, LookAhead, MeanQuery, Raters
from winnow.reducers.core.site import Site

Inputs = tuple[tuple[Any, ...], dict[str, Any]]

STATES = ("output_hidden_states", "output_attentions")
"""Arguments by which the states between layers are asked for."""


def named(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """All arguments of a forward by their names."""
    return {**inspect.signature(module.forward).bind_partial(*args).arguments, **kwargs} if args else kwargs


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
    trunk : Trunk or None
        See `attach`.
    texts : sequence of str
        The text of each prompt.

    Attributes
    ----------
    call : Call or None
        The call of `generate` that is under way.
    forward : Forward or None
        The forward that is under way.
    answering : bool
        Whether all that comes behind a cached prompt is its answer, in a call of its own too: no new turn.
    """

    def __init__(
        self,
        parts: Parts,
        family: Family,
        reducer: Reducer,
        keys: Sequence[str] = (),
        relevance: Sequence[Tensor | None] = (),
        trunk: Trunk | None = None,
        texts: Sequence[str] = (),
    ) -> None:
        outer: Any = parts.outer
        self.parts, self.family, self.reducer = parts, family, reducer
        if isinstance(keys, str):
            raise WinnowError(f"keys={keys!r} is one name: give a list with one per prompt")
        self.opening = Opening(parts, family, reducer, keys, relevance)
        tower = family.tower(outer.config)
        self.depth = len(parts.layers)
        checks.check_sites(reducer, self.depth, tower)
        asked = tower is not None and (reducer.acts_in_tower(self.depth, tower) or reducer.tower_probes(tower))
        pixels = Site.pixels(self.depth) in reducer.sites(self.depth)
        self.pixels = PixelSession(parts, reducer) if pixels else None
        self.tower = TowerSession(parts, family, reducer, tower, texts) if tower is not None and asked else None
        llm: Any = parts.llm
        linear = linear_layers(llm.config, self.depth)
        self.counted = next(layer for layer in range(self.depth) if layer not in linear)
        within = windows(llm.config, self.depth)
        self.fit = Fit(parts, within, both_ways_layers(family, within), linear, owners(llm.config, self.depth))
        self.numbering = Numbering(family, outer)
        self.trace = Trace()
        self.owner = uuid4().hex
        self.call: Call | None = None
        self.forward: Forward | None = None
        self.final: Final | None = None
        self.wanted: int | Tensor | None = None
        self.watched = self.answering = False
        self.trunk = trunk
        self.branch: Branch | None = None
        self.rotary: tuple[Tensor, Tensor] | None = None
        choices = [site for site in reducer.sites(self.depth) if site.kind == "decode"]
        self.choosing = Choosing(reducer, choices[0]) if choices else None
        self.probes = {*reducer.probes(self.depth), *(trunk.probes(self.depth) if trunk is not None else ())}

    @property
    def prefill(self) -> Prefill | None:
        """The prefill that is under way."""
        return None if self.forward is None else self.forward.prefill

    def books(self, cache: Any, batch: int | None) -> Ledger:
        """The books of a cache that this session keeps; see `ledger_of`."""
        return ledger_of(cache, self.owner, self.depth, batch, self.counted)

    def recall(self, cache: Any) -> int:
        """How many tokens a cache stands for that `generate` is given; its prompt's offset goes to the model."""
        ledger = self.books(cache, None)
        if ledger.width:
            self._recall_offset(ledger, numbered=False)
        return ledger.width

    def expect(self, ids: Tensor | None, mask: Tensor | None, inputs: dict[str, Any], held: int) -> None:
        """Before `generate` may encode pictures: tell a method that reads their prompts' texts whose they are."""
        if self.tower is None or not self.tower.texts.reader or ids is None:
            return
        real = torch.ones_like(ids) if mask is None else mask
        prompts = [row[kept.bool()].cpu() for row, kept in zip(ids[:, held:], real[:, held:], strict=True)]
        self.tower.texts.expect(self.family.layouts(self.parts.outer, prompts, inputs), later=held > 0)

    def before_model(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Inputs:
        """At the whole model: refuse what cannot be exact, and let the LM head find the logits that are asked for."""
        args, kwargs = (), named(module, args, kwargs)
        check_call(FORWARD, kwargs)
        self.wanted = columns(kwargs.get("logits_to_keep"))
        configs = (cast(Any, self.parts.llm).config, cast(Any, module).config)
        self.watched = any(kwargs.get(name) or any(getattr(c, name, False) for c in configs) for name in STATES)
        return args, kwargs | ({"logits_to_keep": 0} if isinstance(self.wanted, Tensor) else {})

    def before_outer(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Inputs:
        """At the multimodal model: see what the call brings, and find its visual tokens."""
        kwargs = named(module, args, kwargs)
        checks.check_running(self.parts)
        cache, ids = cache_of(kwargs), kwargs.get("input_ids")
        checks.check_cache(cache)
        ids = checks.check_ids(ids if ids is not None or self.call is None else self.call.ids_of(kwargs))
        ledger = self.books(cache, len(ids))
        mask = checks.check_mask(kwargs.get("attention_mask"), ids)
        new = fresh(ids, mask, ledger, self.call)
        if self.call is None:
            checks.check_kinds_width(self.family, kwargs.get(self.family.kinds), ledger.width + new)
        elif self.family.both_ways:
            kwargs = whole_kinds(kwargs, self.family.kinds, ledger.width, new)
        kwargs = last(kwargs, ids.shape[1], new)
        checks.check_states(self.fit.linear, cache, None if mask is None else mask[:, -new:], ledger)
        if self.call is None and not ledger.width:
            self.numbering.look(kwargs)
        numbered = kwargs.get("position_ids") is not None
        self._recall_offset(ledger, numbered)
        self.forward, self.branch = Forward(ledger, new, mask, numbered, one_block=self.family.one_block), None
        turn = not self.answering and (new > 1 if self.call is None else self.call.first)
        if self.choosing is not None:
            self.choosing.check_step(self.forward, turn)
        if turn or not ledger.width:
            self.forward.prefill = self.opening.begin(self.forward, ids, kwargs, self.call)
            if self.tower is not None:
                self.tower.texts.expect(self.forward.prefill.layouts, later=bool(ledger.width))
        return (), kwargs

    def _recall_offset(self, ledger: Ledger, numbered: bool) -> None:
        """Give a model with M-RoPE, which knows its last prompt alone, the offset of this cache's prompt."""
        outer: Any = self.parts.outer
        if hasattr(outer, ROPE_DELTAS) and (ledger.width or not numbered):
            setattr(outer, ROPE_DELTAS, ledger.offset)

    def before_llm(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Inputs:
        """At the LLM's entrance: reduce the embeddings, and keep mask and positions true to them."""
        forward = self.forward
        if forward is None:
            raise UnsupportedError("the language model was called by itself: call the model, which knows the prompt")
        embeds, positions = kwargs["inputs_embeds"], kwargs.get("position_ids")
        moved = forward.entrance(positions, embeds.device)
        if positions is not None and positions.shape[-1] > forward.new:
            kwargs = kwargs | {"position_ids": moved}
        if forward.prefill is not None:
            forward.follow(moved if positions is not None and self.family.mrope else None)
            kwargs = self._put_features_aside(forward.prefill, kwargs)
            embeds = self._enter(forward.prefill, embeds, moved)
        if forward.entry is not None or forward.ledger.held[0] is not None:
            kwargs = kwargs | forward.llm_inputs(embeds, moved, kwargs.get("attention_mask"))
        if forward.entry is not None and kwargs.get(FED) is not None:
            kwargs = kwargs | {FED: take(kwargs[FED], forward.entry.columns, 1)}
        return args, kwargs

    def feed(self, make: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
        """In place of what makes the inputs of layers, ``(batch, n, layers, inputs)``: the same, kept in prefill."""
        made = make(*args, **kwargs)
        if self.prefill is not None:
            self.prefill.features = [made.flatten(2)]
        return made

    def fed(self, layer: int) -> Tensor | None:
        """What a layer is fed of each token that is left, in prefill; None where layers have no inputs of their own."""
        if self.prefill is None or not self.family.fed:
            return None
        return self.prefill.features[0].unflatten(2, (self.depth, -1))[:, :, layer]

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
        if self.prefill is None or not self.prefill.features:
            return None
        return output + self.prefill.features.pop(0).to(output.device)

    def _enter(self, prefill: Prefill, embeds: Tensor, positions: Tensor | None) -> Tensor:
        """Drop the slots that the tower left empty, then ask the method."""
        entrance = Site.entrance(self.depth)
        if prefill.real is not None:
            embeds = prefill.settle(embeds, prefill.real)
        if self.pixels is not None:
            site = Site.pixels(self.depth)
            embeds = prefill.apply(self.pixels.answers(prefill.layouts), site, embeds, positions)
        if self.tower is not None:
            embeds = prefill.apply(self.tower.answers(prefill.layouts), entrance, embeds, positions)
            self.tower.provenance(prefill.recorders)
            prefill.signals.read(self.tower.read(prefill.layouts))
        if self.trunk is not None and not torch.is_grad_enabled():
            prefill.notes = self.trunk.notes(prefill.index, embeds)
        embeds = prefill.reduce(entrance, embeds, positions)
        if any(isinstance(probe, Raters) for probe, _ in self.probes):
            prefill.signals.rate(prefill.index, embeds, prefill.tail)
        return embeds

    def before_layer(self, layer: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Inputs | None:
        """At a decoder layer: reduce where the method acts, and fit mask and positions to what is left."""
        forward = self.forward
        assert forward is not None
        hidden = args[0] if args else kwargs["hidden_states"]
        if layer == 0:
            forward.cache, forward.positions = cache_of(kwargs), kwargs.get("position_ids")
            keyless = {*self.fit.linear, *self.fit.readers}
            checks.check_held(forward.cache, forward.ledger, self.fit.windows, keyless)
            self.branch = self._branch(forward)
        if forward.prefill is not None:
            hidden = self._reduce(forward, forward.prefill, layer, hidden, kwargs)
            if any(isinstance(probe, Raters) and at == layer for probe, at in self.probes):
                self.rotary = self.fit.rotary(forward, layer, hidden, kwargs)
        elif self.choosing is not None and layer == self.choosing.site.number:
            self.choosing.choose(forward)
        plain = forward.entry is None and forward.ledger.held[0] is None
        if forward.whole(layer) and not forward.narrowed(layer) and (plain or self.fit.causal(layer)):
            return None
        kwargs = kwargs | {
            "attention_mask": self.fit.mask(forward, layer, hidden, kwargs),
            "position_embeddings": self.fit.rotary(forward, layer, hidden, kwargs),
            "position_ids": None,  # only flash attention reads them, wrongly
        }
        fed = self.fed(layer)
        if fed is not None:
            return (hidden, fed[:, -hidden.shape[1] :].to(hidden.device), *args[2:]), kwargs
        return ((hidden, *args[1:]), kwargs) if args else (args, kwargs | {"hidden_states": hidden})

    def _branch(self, forward: Forward) -> Branch | None:
        """The way through what several methods share; None where it is alone, or where states in between are read."""
        prefill, outer = forward.prefill, cast(Any, self.parts.outer)
        if self.trunk is None or prefill is None or forward.cache is None:
            return None
        if self.watched or forward.start or forward.tail or torch.is_grad_enabled() or not shareable(forward.cache):
            return None
        lent = min((self.fit.owners[layer] for layer in self.fit.readers), default=self.depth)
        return Branch(self.trunk, self.reducer, prefill, self.family.tower(outer.config), forward.cache, lent)

    def run_layer(self, layer: int, compute: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
        """In place of a decoder layer's forward: its output, which may be known."""
        if self.branch is None:
            return compute(*args, **kwargs)
        hidden, rotary = args[0] if args else kwargs["hidden_states"], kwargs["position_embeddings"]
        stage = None if self.forward is None else self.forward.stage(layer)
        added = () if stage is None or stage.added is None else (stage.added,)
        fed = args[1:2] if self.family.fed else ()
        return self.branch.run(layer, hidden, (*rotary, *added, *fed), partial(compute, *args, **kwargs))

    def watch_layer(self, layer: int, compute: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
        """In place of a decoder layer's forward: the same, and how far it moves each token, in prefill."""
        output = compute(*args, **kwargs)
        if self.prefill is not None:
            added = self.prefill.features[:1] if self.family.deepstack else []
            after = output + added[0].to(output.device) if added else output
            before, signals = args[0] if args else kwargs["hidden_states"], self.prefill.signals
            signals.change(layer, self.prefill.index, before, after, self.prefill.tail)
        return output

    def _reduce(self, forward: Forward, prefill: Prefill, layer: int, hidden: Tensor, kwargs: dict[str, Any]) -> Tensor:
        if prefill.signals.wants_ahead(layer, MeanQuery):
            cos, sin = self.fit.rotary(forward, layer, hidden, kwargs)
            seen = look_ahead(self.parts.layers[layer], hidden, (torch.ones_like(cos), torch.zeros_like(sin)))
            prefill.signals.unturned(layer, prefill.index, *seen, self.fit.around(forward, layer))
        if prefill.signals.wants_ahead(layer, LookAhead, KeysAhead):
            rotary = self.fit.rotary(forward, layer, hidden, kwargs)
            query, key, scaling = look_ahead(self.parts.layers[layer], hidden, rotary)
            held = held_keys(forward.cache, layer)
            if held:
                key = torch.cat([forward.cache.layers[layer].keys.to(key.device), key], 2)
            prefill.signals.ahead(layer, prefill.index, query, key, scaling, self.fit.around(forward, layer))
            if self.branch is not None:
                self.branch.seen_ahead(layer)
        if layer:  # the input of layer 0 is the entrance, where mask and positions are cut too
            hidden = prefill.reduce(Site.layer(layer, self.depth), hidden, forward.positions)
        prefill.record()
        return hidden

    def after_llm(self) -> None:
        """At the LLM's end: close the traces of a prefill, and the books of the cache."""
        forward = self.forward
        if forward is None:
            return
        if forward.prefill is not None:
            traces = forward.prefill.finish(self.tower.tower if self.tower is not None else None)
            forward.ledger.turns.append(traces)
            if self.choosing is not None:
                prefill, forward.ledger.places = forward.prefill, forward.places()
                forward.ledger.told = [prefill.told[b - b % prefill.copies] for b in range(forward.ledger.batch)]
            if self.call is None or self.call.first:
                self.trace.prompts, self.trace.turns = traces, list(forward.ledger.turns)
                self.trace.frames = dict(self.tower.passes) if self.tower is not None else {}
        if self.call is not None:
            self.call.first = False
        self.final = Final(forward.rows(self.depth), forward.start, forward.new)
        forward.close()
        if self.branch is not None:
            self.branch.trunk.prune()

    def before_head(self, module: nn.Module, args: tuple[Tensor]) -> tuple[Tensor] | None:
        """At the LM head: give it the tokens that `logits_to_keep` names, where they stand now."""
        wanted, self.wanted = self.wanted, None
        hidden = picked(args[0], wanted, self.final)
        return None if hidden is args[0] else (hidden,)

    def after_outer(self) -> None:
        """At the end of a forward, also of one that failed."""
        self.forward = self.branch = self.rotary = None

    def observe(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scaling: float) -> None:
        """At a tapped attention: compute the statistics that were asked for, in prefill; what a choice needs, later."""
        if self.forward is not None and self.prefill is None and self.choosing is not None:
            if layer == self.choosing.before:
                self.choosing.observe(self.forward, query, key, scaling)
            return
        if self.forward is not None and self.prefill is not None:
            around = replace(self.fit.around(self.forward, layer), rotary=self.rotary)
            self.prefill.signals.observe(layer, self.prefill.index, query, key, scaling, around)

    def after_key_projection(self, layer: int, keys: Tensor) -> None:
        """At a key projection, ``(batch, n, kv_heads * head_dim)``: keep what was asked for before RoPE."""
        if self.prefill is not None:
            attention: Any = self.parts.layers[layer]
            keys = keys.unflatten(-1, (-1, attention.self_attn.head_dim)).transpose(1, 2)
            self.prefill.signals.keys(Keys(rope=False), layer, self.prefill.index, keys, self.prefill.tail)

    def inside_layer(self, site: Site, hidden: Tensor) -> Tensor:
        """Between attention and MLP of a decoder layer: reduce, in prefill."""
        if self.forward is None or self.prefill is None:
            return hidden
        return self.prefill.reduce(site, hidden, self.forward.positions)
