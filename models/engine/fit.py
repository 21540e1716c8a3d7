"""What a layer gets in place of transformers' own mask and rotary embedding, once tokens are gone."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Sequence
from typing import Any

from torch import Tensor

from winnow.models.engine.checks import PADDED_TURN
from winnow.models.engine.fetched import onto
from winnow.models.engine.forward import Forward
from winnow.models.engine.ledger import Held
from winnow.models.engine.masks import attention_mask
from winnow.models.engine.sequence import take
from winnow.models.engine.signals import Around
from winnow.models.families.base import Parts
from winnow.models.transformers_api import SHARED, attention_of, held_keys
from winnow.reducers.core.errors import UnsupportedError


class Fit:
    """Masks and rotary embeddings of one model; each is made once for all layers that see the same tokens.

    Parameters
    ----------
    parts : Parts
        The model's modules.
    windows : sequence of int or None
        See `windows`.
    both_ways : collection of int
        See `both_ways_layers`.
    linear : collection of int
        See `linear_layers`.
    owners : sequence of int
        See `owners`; empty: each layer reads its own keys.

    Attributes
    ----------
    readers : frozenset of int
        The layers that read those of another one.
    """

    def __init__(
        self,
        parts: Parts,
        windows: Sequence[int | None],
        both_ways: Collection[int] = (),
        linear: Collection[int] = (),
        owners: Sequence[int] = (),
    ) -> None:
        self.parts, self.windows, self.both_ways, self.linear = parts, windows, both_ways, linear
        self.owners = owners or range(len(windows))
        self.readers = frozenset(layer for layer, owner in enumerate(self.owners) if layer != owner)

    def causal(self, layer: int) -> bool:
        """Whether a layer sees all that came before, and that alone, so that a padding mask tells it everything."""
        return self.windows[layer] is None and layer not in self.both_ways

    def rotary(self, forward: Forward, layer: int, hidden: Tensor, kwargs: dict[str, Any]) -> tuple[Tensor, Tensor]:
        """Rotary cosine and sine of the tokens in `hidden`."""
        cos, sin = kwargs["position_embeddings"]
        stage, held = forward.stage(layer), forward.ledger.held[layer]
        known = ("rotary", id(stage), id(held), id(cos))
        if known not in forward.known:
            positions, rows = forward.moved(layer), hidden.shape[1]
            if positions is not None:
                made = self._angles(layer, hidden, onto(positions[:, -rows:], hidden.device))
            elif stage is None or cos.shape[1] < forward.entry_width:  # of the last tokens alone, which all are there
                made = cos, sin
            else:
                made = take(cos, stage.columns[:, -rows:], 1), take(sin, stage.columns[:, -rows:], 1)
            forward.known[known] = cos, made
        found: tuple[Tensor, Tensor] = forward.known[known][1]
        return found

    def _angles(self, layer: int, hidden: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Rotary embedding; models whose layers turn unlike ask for the layer's type."""
        llm: Any = self.parts.llm
        typed = "layer_type" in inspect.signature(llm.rotary_emb.forward).parameters
        kind = [llm.config.layer_types[layer]] if typed else []
        made: tuple[Tensor, Tensor] = llm.rotary_emb(hidden, positions, *kind)
        return made

    def mask(self, forward: Forward, layer: int, hidden: Tensor, kwargs: dict[str, Any]) -> Tensor | None:
        """The attention mask of the tokens in `hidden`; see `attention_mask`."""
        if layer in self.linear:
            return self._padding(forward, layer, hidden)
        llm: Any = self.parts.llm
        wanted, window = kwargs.get("attention_mask") is not None, self.windows[layer]
        held, owner = self._stored(forward, layer, kwargs), self.owners[layer]
        seen = [(id(forward.stage(at)), id(forward.ledger.held[at]), forward.narrowed(at)) for at in (layer, owner)]
        known = ("mask", *seen, window, held, hidden.shape[1], hidden.device)
        if known not in forward.known:
            (rows, keys), attn = self._seen(forward, layer, hidden.shape[1], held), attention_of(llm.config)
            pictures = forward.pictures if layer in self.both_ways and forward.prefill is not None else None
            forward.known[known] = attention_mask(
                rows, keys, window, attn, hidden.dtype, wanted, hidden.device, pictures
            )
        found: Tensor | None = forward.known[known]
        return found

    def _stored(self, forward: Forward, layer: int, kwargs: dict[str, Any]) -> int:
        """How many keys a layer's cache holds before this forward; of another layer's, how many there are with it."""
        if layer not in self.readers:
            return held_keys(forward.cache, layer) or 0
        llm: Any = self.parts.llm
        return int(kwargs[SHARED][llm.config.layer_types[layer]][0].shape[2])

    def _seen(self, forward: Forward, layer: int, tokens: int, held: int) -> tuple[Held, Held]:
        """The tokens that enter a layer, and the keys that it reads: of another layer's those that it has left."""
        rows, keys = forward.seen(layer)
        if layer not in self.readers:
            return rows, keys.last(held + tokens)
        return rows.last(tokens), forward.seen(self.owners[layer])[1].last(held).left(keys)

    def _padding(self, forward: Forward, layer: int, hidden: Tensor) -> Tensor | None:
        """Which tokens in `hidden` are real, ``(batch, n)``, for a layer that carries a state; None: all.

        Padding in front of a prompt leaves a state of zeros. Behind a cached prompt it would let the state decay.

        Raises
        ------
        UnsupportedError
            For padding behind a cached prompt.
        """
        valid = forward.seen(layer)[0].valid
        if bool(valid.all()):
            return None
        if forward.start:
            raise UnsupportedError(PADDED_TURN)
        return onto(valid.long(), hidden.device)

    def around(self, forward: Forward, layer: int) -> Around:
        """What stands before and behind the prompts in a layer's attention."""
        past, stage, held = None, forward.stage(layer), forward.ledger.held[layer]
        if forward.start:
            rows, keys = forward.seen(layer)
            past = keys.valid[:, : keys.columns.shape[1] - rows.columns.shape[1]]
        weighed = any(part is not None and part.added is not None for part in (stage, held))
        return Around(past, forward.tail, self.windows[layer], weighed=weighed)
