"""Decodes as one batch what several methods have prefilled; rows whose answer has ended leave it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList, StoppingCriteria, StoppingCriteriaList

from winnow.models.engine.attach import attach, session_of
from winnow.models.engine.calls import CONFIG, DRAFTS, UNKNOWN
from winnow.models.engine.rows import merge, select
from winnow.models.transformers_api import CACHE, cache_of
from winnow.reducers.core.base import Reducer
from winnow.reducers.core.errors import UnsupportedError

HELD = {"max_new_tokens", "min_new_tokens", "repetition_penalty", "no_repeat_ngram_size", "suppress_tokens"}
HELD |= {"begin_suppress_tokens", "length_penalty", "pad_token_id"}
"""Arguments of `generate` that hold for each row by itself."""
GREEDY: dict[str, tuple[Any, ...]] = {"do_sample": (None, False), "num_beams": (None, 1), "use_cache": (None, True)}
"""Others, with the values that they may have."""
UNUSED = {"max_length", "do_sample", "temperature", "top_k", "top_p", "min_p", "top_h", "typical_p", "epsilon_cutoff"}
UNUSED |= {"eta_cutoff", "bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id"}
UNUSED |= {name for name, rule in CONFIG.items() if rule in (UNKNOWN, DRAFTS)}
"""Fields of a model's own configuration that change nothing here: lengths are given, and answers are greedy."""
LEAVING = 4
"""Rows that have ended leave once they are one of so many: each leaving moves the whole cache."""


def check_joint(generation: Mapping[str, Any]) -> None:
    """Refuse arguments of `generate` that rows of several methods cannot follow in one batch.

    Raises
    ------
    UnsupportedError
        Names the argument.
    """
    for name, value in generation.items():
        if name not in HELD and value not in GREEDY.get(name, ()):
            raise UnsupportedError(f"{name}={value} cannot be held where methods decode together: greedily, row by row")


def _habits(model: Any) -> dict[str, Any]:
    """What a model's own generation configuration asks for, besides what a greedy answer has no use for."""
    own = model.generation_config.to_diff_dict()
    asked = {name: value for name, value in own.items() if name in CONFIG and name not in UNUSED}
    return {name: value for name, value in asked.items() if not _nothing(value) or name in GREEDY}


def _nothing(value: Any) -> bool:
    """Whether a field's value asks for nothing: none, false, no penalty or a scale of one."""
    return value is None or value is False or (not isinstance(value, bool) and value in (0, 1))


@dataclass(frozen=True, eq=False)
class Begun:
    """A batch behind its prefill under one method.

    Attributes
    ----------
    ids : Tensor
        Prompts and first tokens, ``(batch, length + 1)``.
    mask : Tensor
        Which of them are no padding, likewise.
    cache : Any
        The KV cache of the prompts.
    """

    ids: Tensor
    mask: Tensor
    cache: Any


def begin(
    model: Any, inputs: Mapping[str, Any], generation: Mapping[str, Any], processors: Sequence[LogitsProcessor] = ()
) -> Begun:
    """Prefill a batch under the method that is attached, and choose each row's first token.

    Parameters
    ----------
    model : nn.Module
    inputs : mapping
        What `generate` takes of the prompts.
    generation : mapping
        Its other arguments, `max_new_tokens` among them; see `check_joint`.
    processors : sequence of LogitsProcessor
        Shown the first step's scores.
    """
    check_joint(_habits(model) | dict(generation))
    if session_of(model).choosing is not None:
        raise UnsupportedError("a method that chooses among stored keys while it decodes has to decode by itself")
    first = dict(generation) | _lengths(generation, 0, 1)
    first |= {"logits_processor": LogitsProcessorList(processors), "return_dict_in_generate": True}
    output = model.generate(**inputs, **first, do_sample=False)
    ids, mask = output.sequences, inputs.get("attention_mask")
    mask = torch.ones_like(ids[:, :-1]) if mask is None else mask
    return Begun(ids, _longer(mask, ids), cache_of(output))


def finish(
    model: Any,
    begun: Sequence[Begun],
    generation: Mapping[str, Any],
    watch: Callable[[Tensor, Tensor], None] | None = None,
) -> list[list[Tensor]]:
    """Decode batches of the same prompts to their ends, together.

    Parameters
    ----------
    model : nn.Module
        Without a method.
    begun : sequence of Begun
        One for each method; their caches are used up.
    generation : mapping
        As of `begin`.
    watch : callable or None
        Shown each step's rows, counted over all methods, and their scores ``(rows, vocabulary)``.

    Returns
    -------
    list of list of Tensor
        Per method and row the new tokens, up to the one that ended it.
    """
    check_joint(generation)
    ends = _ends(model)
    ids, mask = (torch.cat([getattr(one, name) for one in begun]) for name in ("ids", "mask"))
    start, limit, rows = ids.shape[1] - 1, int(generation["max_new_tokens"]), torch.arange(len(ids))
    found: dict[int, Tensor] = {}
    with attach(model, Reducer()):
        session = session_of(model)
        session.answering, cache = True, merge([one.cache for one in begun], session.owner)
        while True:
            over = torch.isin(ids[:, start:], ends.to(ids.device))
            gone = over.any(1) | (ids.shape[1] - start >= limit)
            for row in gone.nonzero().flatten().tolist():
                found[int(rows[row])] = _until(ids[row, start:], over[row])
            stay = (~gone).nonzero().flatten()
            if not len(stay):
                break
            if len(stay) < len(ids):
                ids, mask, rows = ids[stay], mask[stay], rows[stay.cpu()]
                select(cache, stay)
            more = dict(generation) | _lengths(generation, ids.shape[1] - start, limit)
            more |= {
                "attention_mask": mask,
                CACHE: cache,
                "stopping_criteria": StoppingCriteriaList([_Leaving(ends, ids.shape[1])]),
            }
            more |= {} if watch is None else {"logits_processor": LogitsProcessorList([_Watched(watch, rows)])}
            more.pop("begin_suppress_tokens", None)
            ids = model.generate(input_ids=ids, **more, do_sample=False)
            mask = _longer(mask, ids)
    answers = iter(range(len(found)))
    return [[found[next(answers)] for _ in one.ids] for one in begun]


def _lengths(generation: Mapping[str, Any], done: int, until: int) -> dict[str, int]:
    """How many tokens are still to come, where some are there."""
    least = generation.get("min_new_tokens")
    most = {"max_new_tokens": until - done}
    return most if least is None else most | {"min_new_tokens": min(until, max(least, done)) - done}


def _ends(model: Any) -> Tensor:
    """The tokens that end an answer."""
    ends = model.generation_config.eos_token_id
    return torch.tensor([] if ends is None else ends, dtype=torch.long).flatten()


def _longer(mask: Tensor, ids: Tensor) -> Tensor:
    return torch.cat([mask, mask.new_ones(len(mask), ids.shape[1] - mask.shape[1])], 1)


def _until(ids: Tensor, over: Tensor) -> Tensor:
    """An answer up to the token that ended it."""
    return ids[: int(over.long().argmax()) + 1] if bool(over.any()) else ids


class _Watched(LogitsProcessor):
    """Shows the scores of each step, and changes nothing of them."""

    def __init__(self, watch: Callable[[Tensor, Tensor], None], rows: Tensor) -> None:
        self.watch, self.rows = watch, rows

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """See `transformers.LogitsProcessor`."""
        self.watch(self.rows, scores)
        return scores


class _Leaving(StoppingCriteria):
    """Interrupts `generate` once enough rows have ended to leave."""

    def __init__(self, ends: Tensor, start: int) -> None:
        self.ends, self.start = ends, start

    def __call__(self, input_ids: Tensor, scores: Any, **more: Any) -> Tensor:
        """Whether each row is to stop: all of them, or none."""
        over = torch.isin(input_ids[:, self.start :], self.ends.to(input_ids.device)).any(1)
        return torch.full_like(over, bool(LEAVING * int(over.sum()) >= len(over)))
