"""Stands in front of `generate` while a method is attached: refuses what cannot be exact, and remembers the prompt."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from winnow.models.engine import checks
from winnow.models.engine.calls import Call, check_generate, check_late_drafts, configured
from winnow.models.engine.reuse import replaced
from winnow.models.engine.session import Session
from winnow.models.transformers_api import EXPAND, cache_of, together
from winnow.reducers.core.errors import UnsupportedError

PAGED = ("generate_batch", "init_continuous_batching", "continuous_batching_context_manager")
"""Ways into continuous batching."""


def hook_generate(stack: ExitStack, session: Session, model: Any) -> None:
    """Replace `generate` on the instance until the stack closes, and close the ways into continuous batching."""
    original = model.generate
    signature = inspect.signature(original)

    def generate(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs).arguments
        check_generate(model, bound)
        if session.choosing is not None:
            session.choosing.check(model, bound)
        with _calling(session, bound) as held:
            if held:
                check_late_drafts(model, session.family, bound)
            return original(*args, **_of_what_is_new(_in_one_piece(model, bound, kwargs), held))

    stack.enter_context(replaced(model, "generate", generate))
    if (expand := together(model)) is not None:
        stack.enter_context(replaced(model, EXPAND, expand))
    for name in PAGED:
        if hasattr(model, name):
            stack.enter_context(replaced(model, name, _refusing(name)))


def _in_one_piece(model: Any, bound: dict[str, Any], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments without chunks of the prompt: a choice waits for its end, and layers go on with what it leaves."""
    chunk = configured(model, bound, "prefill_chunk_size")
    if chunk is None:
        return kwargs
    warnings.warn(
        f"prefill_chunk_size={chunk}: while a method is attached the prompt is prefilled in one piece, and takes the "
        "memory of one piece",
        stacklevel=3,
    )
    return kwargs | {"prefill_chunk_size": None}


def _of_what_is_new(kwargs: dict[str, Any], held: int) -> dict[str, Any]:
    """The arguments with cached pictures marked as text, as models with M-RoPE take dropped ones for new ones."""
    kinds = kwargs.get("mm_token_type_ids")
    if not held or kinds is None:
        return kwargs
    return kwargs | {"mm_token_type_ids": torch.cat([torch.zeros_like(kinds[:, :held]), kinds[:, held:]], 1)}


def _refusing(name: str) -> Callable[..., Any]:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise UnsupportedError(f"{name}: paged caches hold the same tokens in all layers: call generate")

    return refuse


@contextmanager
def _calling(session: Session, bound: dict[str, Any]) -> Iterator[int]:
    """Tell the session of a call of `generate`, until it ends; yields how many tokens the cache stands for."""
    extra = bound.get("kwargs", {})
    ids = bound.get("inputs", extra.get("input_ids"))
    mask, cache = extra.get("attention_mask"), cache_of(extra)
    checks.check_cache(cache)
    if extra.get("inputs_embeds") is not None:
        ids = checks.check_ids(ids)
    if ids is not None:
        mask = checks.check_mask(mask, ids)
    held = session.recall(cache)
    if ids is not None and not held:
        checks.check_padding(None if mask is None else mask.bool(), ids)
        session.numbering.look(extra | {"input_ids": ids})
    width = ids.shape[1] if mask is None and ids is not None else mask.shape[1] if mask is not None else 0
    checks.check_kinds_width(session.family, extra.get(session.family.kinds), width)
    sizes = {name: extra[name] for name in session.family.sizes if extra.get(name) is not None}
    session.expect(ids, mask, extra, held)
    before, session.call = session.call, Call(ids, width, extra.get("position_ids") is not None, sizes)
    try:
        yield held
    finally:
        session.call = before
