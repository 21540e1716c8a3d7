"""What a call brings: which tokens are new to the cache, and which of them are the prompt's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor

from winnow.models.engine import checks
from winnow.models.engine.calls import Call
from winnow.models.engine.forward import Forward
from winnow.models.engine.ledger import Ledger
from winnow.models.engine.prefill import Prefill
from winnow.models.families.base import Family, Parts
from winnow.reducers.core.base import Reducer
from winnow.reducers.core.errors import UnsupportedError
from winnow.reducers.core.layout import Layout

PER_TOKEN = ("input_ids", "position_ids", "mm_token_type_ids", "token_type_ids")
"""Arguments whose last dimension is the tokens."""


def fresh(ids: Tensor, mask: Tensor | None, ledger: Ledger, call: Call | None) -> int:
    """How many of the given tokens the cache does not hold yet.

    `generate` takes the cache's length for what was given, and repeats tokens that were dropped at the entrance.
    """
    given = ids.shape[1]
    if not ledger.width:
        return given
    new = given if mask is None else mask.shape[1] - ledger.width
    if mask is None and call is not None and call.first:
        new = (given if call.begins(ids) else call.width) - ledger.width
    if not 0 < new <= given:
        raise UnsupportedError(
            f"the cache stands for {ledger.width} tokens and the call brings {given}: pass the whole conversation, "
            "or its new tokens with an attention_mask over all"
        )
    return new


def last(kwargs: dict[str, Any], given: int, new: int) -> dict[str, Any]:
    """The inputs without the tokens that the cache holds already."""
    if new == given:
        return kwargs
    cut = {name: kwargs[name][..., -new:] for name in PER_TOKEN if kwargs.get(name) is not None}
    embeds = kwargs.get("inputs_embeds")
    return kwargs | cut | ({} if embeds is None else {"inputs_embeds": embeds[:, -new:]})


def whole_kinds(kwargs: dict[str, Any], name: str, held: int, new: int) -> dict[str, Any]:
    """The inputs with kinds of the whole conversation, which `generate` of transformers 5.17 cuts to the new tokens.

    Its masks compare them with all keys, so that a picture of a later turn would be seen one way.
    """
    kinds = kwargs.get(name)
    if kinds is None or not held or new == 1 or kinds.shape[-1] != new:
        return kwargs
    return kwargs | {name: torch.nn.functional.pad(kinds, (held, 0))}


@dataclass(frozen=True)
class Opening:
    """Begins prefills of one model under one method; parameters as of `attach`."""

    parts: Parts
    family: Family
    reducer: Reducer
    keys: Sequence[str]
    relevance: Sequence[Tensor | None]

    def begin(self, forward: Forward, ids: Tensor, kwargs: dict[str, Any], call: Call | None) -> Prefill:
        """Lay out the prompts' new tokens, without what was drafted or answered already."""
        start, tail = forward.start, 0
        if call is not None and (start or call.begins(ids)):
            tail = forward.new - (call.width - start)
        own = ids[:, ids.shape[1] - forward.new : ids.shape[1] - tail]
        mask = None if forward.mask is None else forward.mask[:, start : start + own.shape[1]]
        mask = checks.check_padding(mask, own, later=start > 0).bool().cpu()
        prompts = [row[real] for row, real in zip(own.cpu(), mask, strict=True)]
        numbered = forward.numbered if call is None else call.numbered
        checks.check_turn(self.family, self.parts, prompts, start > 0 and not numbered)
        copies = 1 if call is None or len(own) % call.prompts else len(own) // call.prompts
        layouts = self._layouts(prompts, _without(kwargs, tail), {} if call is None else call.sizes, copies)
        checks.check_kinds(self.family, layouts, kwargs.get(self.family.kinds))
        checks.check_copies(self.family, layouts, kwargs, copies)
        inside, llm = bool((mask[:, :-1] & ~mask[:, 1:]).any()), cast(Any, self.parts.llm)
        return Prefill(
            self.reducer,
            layouts,
            forward.new,
            len(self.parts.layers),
            self.keys,
            self.relevance,
            copies=copies,
            tail=tail,
            mrope=self.family.mrope,
            real=[row.nonzero().flatten() for row in mask] if inside else None,
            norm=llm.norm,
            starts=[start] * len(own) if forward.mask is None else forward.mask[:, :start].sum(1).tolist(),
        )

    def _layouts(
        self, prompts: Sequence[Tensor], inputs: dict[str, Any], sizes: Mapping[str, Any], copies: int
    ) -> list[Layout]:
        """See `Family.layouts`; sizes that a call was given are those of one sequence of each prompt."""
        if not sizes:
            return self.family.layouts(self.parts.outer, prompts, inputs)
        once = self.family.layouts(self.parts.outer, prompts[::copies], {**inputs, **sizes})
        checks.check_own_pruning(once, copies)
        return [layout for layout in once for _ in range(copies)]


def _without(kwargs: dict[str, Any], tail: int) -> dict[str, Any]:
    """The inputs that have a column for each token, without the last columns."""
    named = {name: kwargs.get(name) for name in PER_TOKEN[1:]}
    return kwargs | {name: value[..., :-tail] for name, value in named.items() if tail and value is not None}
