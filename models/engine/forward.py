"""One call of the model: what it brings, and what each layer sees of it and of what was held before."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from winnow.models.engine.fetched import onto
from winnow.models.engine.ledger import Held, Ledger, everything
from winnow.models.engine.prefill import Prefill
from winnow.models.engine.sequence import Stage, take
from winnow.models.families.base import runs


class Forward:
    """A prefill (of a first or later turn) or a step of decoding.

    Parameters
    ----------
    ledger : Ledger
        The books of its KV cache.
    new : int
        Tokens of each prompt that it brings, padding included.
    mask : Tensor or None
        Padding mask over all tokens so far, shape ``(batch, ledger.width + new)``.
    numbered : bool
        Whether the caller gave the position ids.
    prefill : Prefill or None
        None in decoding.
    one_block : bool
        See `Family.one_block`.

    Attributes
    ----------
    cache : Any
        The KV cache, once the LLM has it.
    """

    def __init__(
        self,
        ledger: Ledger,
        new: int,
        mask: Tensor | None,
        numbered: bool,
        prefill: Prefill | None = None,
        one_block: bool = False,
    ) -> None:
        self.ledger, self.new, self.numbered, self.prefill = ledger, new, numbered, prefill
        self.one_block = one_block
        self.mask = None if mask is None else mask.bool().cpu()
        self.start = ledger.width
        self.cache: Any = None
        self.positions: Tensor | None = None
        self.known: dict[tuple[object, ...], Any] = {}
        self._hidden: tuple[Tensor, int] | None = None
        self._rows: dict[int, Held] = {}

    @property
    def entry(self) -> Stage | None:
        """What the entrance left."""
        return None if self.prefill is None else self.prefill.entry

    @property
    def tail(self) -> int:
        """Columns behind the prompts."""
        return 0 if self.prefill is None else self.prefill.tail

    @property
    def entry_width(self) -> int:
        """Columns of the sequence that layer 0 sees."""
        return self.new if self.prefill is None else self.prefill.entry_width

    def stage(self, layer: int) -> Stage | None:
        """What `layer` sees of the sequence that layer 0 saw; None: all of it."""
        return None if self.prefill is None else self.prefill.stage(layer)

    def whole(self, layer: int) -> bool:
        """Whether `layer` sees what layer 0 saw, now and before."""
        return self.stage(layer) is None and self.ledger.held[layer] is self.ledger.held[0]

    def rows(self, layer: int) -> Held | None:
        """The tokens of this forward that `layer` sees; None: all."""
        stage = self.stage(layer) or self.entry
        if stage is None:
            return None
        if id(stage) not in self._rows:
            columns, entry = stage.columns, self.entry
            columns = columns if entry is None or entry is stage else entry.columns.gather(1, columns)
            shift = None if stage is entry else stage.shift
            self._rows[id(stage)] = Held(columns + self.start, stage.valid, shift, stage.added)
        return self._rows[id(stage)]

    def seen(self, layer: int) -> tuple[Held, Held]:
        """The tokens of this forward in `layer`, and all keys that they may see, both without what is padding."""
        new = self._real(self.rows(layer) or everything(self.start, self.start + self.new, self.ledger.batch))
        past = self._real(self.ledger.held[layer] or everything(0, self.start, self.ledger.batch))
        if self._hidden is not None and self.narrowed(layer):
            past = replace(past, valid=past.valid & ~self._hidden[0].gather(1, past.columns))
        return new, past.more(replace(new, shift=None))

    def hide(self, places: Tensor, layer: int) -> None:
        """Keep some of all tokens that were ever given, ``(batch, places)``, from `layer` and those behind it."""
        self._hidden = (places, layer) if bool(places.any()) else None

    def narrowed(self, layer: int) -> bool:
        """Whether anything is kept from a layer that it holds."""
        return self._hidden is not None and layer >= self._hidden[1]

    def _real(self, held: Held) -> Held:
        if self.mask is None:
            return held
        return replace(held, valid=held.valid & self.mask.gather(1, held.columns))

    @cached_property
    def pictures(self) -> Tensor:
        """Which picture each token is of, by its place among all that were ever given; -1 for text."""
        made = torch.full((self.ledger.batch, self.start + self.new), -1)
        layouts = () if self.prefill is None else self.prefill.layouts
        for row, (layout, places) in enumerate(zip(layouts, self.places(), strict=True)):
            if self.one_block:
                made[row, places[torch.cat([layout.visual, layout.separators])]] = 0
                continue
            for number, (begin, end) in enumerate(runs(layout.is_visual)):
                made[row, places[begin:end]] = number
        return made

    def places(self) -> list[Tensor]:
        """Where the tokens of each row's prompt stand among all that were ever given; empty in decoding."""
        if self.prefill is None:
            return []
        if self.prefill.real is not None:
            return [real + self.start for real in self.prefill.real]
        last = self.start + self.new - self.tail
        return [torch.arange(last - layout.length, last) for layout in self.prefill.layouts]

    def entrance(self, positions: Tensor | None, device: torch.device) -> Tensor | None:
        """Position ids of this forward's tokens in layer 0, as if nothing were gone; None where the model may count."""
        held = self.ledger.held[self.ledger.counted]
        if self.start and positions is None:
            positions = torch.arange(self.start, self.start + self.new, device=device)[None]
        elif positions is not None and positions.shape[-1] > self.new:
            positions = positions[..., -self.new :]  # M-RoPE counts all tokens of a mask, also those that a cache holds
        elif held is not None and positions is not None and not self.numbered:
            positions = positions + self.start - self.ledger.entered
        if self.ledger.shift is not None and positions is not None:
            positions = positions - onto(self.ledger.shift, device)[:, None]
        return positions

    def follow(self, positions: Tensor | None) -> None:
        """Enter into the books what M-RoPE adds to later places, so that they follow a prompt's largest position."""
        if positions is None:
            return
        seen = torch.tensor([self.start + self.new]) if self.mask is None else self.mask.sum(1)
        largest = positions[-3:].amax((0, 2)) if positions.ndim > 2 else positions.amax(1)
        self.ledger.offset = (largest + 1 - onto(seen, largest.device))[:, None]

    def llm_inputs(self, embeds: Tensor, positions: Tensor | None, given: Tensor | None) -> dict[str, Any]:
        """Inputs of the LLM where layer 0 misses something.

        The explicit mask keeps transformers from reading gaps in a prefill as packed sequences.

        Parameters
        ----------
        embeds : Tensor
            What the entrance left, ``(batch, n, width)``.
        positions : Tensor or None
            See `entrance`, for all tokens of this forward.
        given : Tensor or None
            The padding mask that the LLM was given.
        """
        keys, entry = self.seen(0)[1], self.entry
        if entry is not None and entry.positions is not None:
            positions = onto(entry.positions, embeds.device)
        elif entry is not None:
            columns = onto(entry.columns, embeds.device)
            positions = torch.arange(self.new, device=embeds.device)[None] if positions is None else positions
            positions = positions.expand(*positions.shape[:-2], *embeds.shape[:1], positions.shape[-1])
            positions = positions.gather(-1, columns.expand(*positions.shape[:-1], -1))
        plain = self.prefill is None and given is None and bool(keys.valid.all())
        mask = None if plain else onto(keys.valid.long(), embeds.device)
        return {"inputs_embeds": embeds, "attention_mask": mask, "position_ids": positions}

    def moved(self, layer: int) -> Tensor | None:
        """Position ids of the tokens that `layer` sees, where they are no longer those of layer 0; ``(batch, n)``."""
        stage, held = self.stage(layer), self.ledger.held[layer]
        shift = None if held is None or held.shift is None or not bool(held.shift.any()) else held.shift
        if stage is not None and stage.positions is not None:
            positions = stage.positions
        elif shift is None or self.positions is None:
            return None
        else:
            positions = self.positions.cpu().expand(self.ledger.batch, -1)
            positions = positions if stage is None else take(positions, stage.columns, 1)
        return positions if shift is None else positions - shift[:, None]

    def close(self) -> None:
        """Enter into the books what the layers hold now."""
        entry, ledger = self.entry, self.ledger
        ledger.grow([self.rows(layer) for layer in range(ledger.depth)], self.new, self.tail)
        if entry is not None and entry.shift is not None:
            ledger.shift = entry.shift if ledger.shift is None else ledger.shift + entry.shift
        if self.cache is not None:
            ledger.keep_on(self.cache)
