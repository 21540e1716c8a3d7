"""``with attach(model, reducer) as trace``: reduce inside an unmodified Hugging Face model."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, cast

from torch import Tensor, nn

from winnow.models.engine.before_mlp import BeforeMLP
from winnow.models.engine.checks import check_model, whole
from winnow.models.engine.generating import hook_generate
from winnow.models.engine.norms import norms_of
from winnow.models.engine.reuse import replaced
from winnow.models.engine.session import Session
from winnow.models.engine.tap import tap
from winnow.models.engine.trace import Trace
from winnow.models.engine.trunk import Trunk
from winnow.models.families import family_of
from winnow.models.families.base import Family
from winnow.models.families.hybrid import attentive, fitted
from winnow.models.families.support import impossible
from winnow.models.transformers_api import FEEDING, ROPE_DELTAS, check_version
from winnow.reducers.core.base import Reducer
from winnow.reducers.core.errors import UnsupportedError, WinnowError
from winnow.reducers.core.probes import Ahead, Change, Keys
from winnow.reducers.core.registry import named

MARK = "_winnow_session"
"""Attribute of a language model that a reducer is attached to."""


@contextmanager
def attach(
    model: nn.Module,
    reducer: Reducer | str,
    keys: Sequence[str] = (),
    relevance: Sequence[Tensor | None] = (),
    trunk: Trunk | None = None,
    texts: Sequence[str] = (),
    **parameters: object,
) -> Iterator[Trace]:
    """Reduce visual tokens in every ``model(...)`` and ``model.generate(...)`` while the context is open.

    Parameters
    ----------
    model : nn.Module
        A supported Hugging Face model, e.g. `LlavaOnevisionForConditionalGeneration`; left as it was at the end, also
        after an exception.
    reducer : Reducer or str
        The method, e.g. ``FastV(ratio=0.5)``; or its name, ``"fastv"`` or ``"their.package:Class"``.
    keys : sequence of str
        A name for each prompt of a batch; randomness depends on it alone. Default: the place in the batch.
    relevance : sequence of Tensor or None
        Per prompt the relevance of its visual tokens, for synthetic data that know it.
    trunk : Trunk or None
        What several methods share that are attached in turn and answer the same batch; see `Trunk`.
    texts : sequence of str
        Per prompt the words of the question, for methods that read them with a text tower of their own (`TextMatch`).
    **parameters
        Of a method that is given by its name, e.g. ``ratio=0.5``.

    Yields
    ------
    Trace
        Filled by each prefill.

    Raises
    ------
    UnsupportedError
        For models and calls that cannot be reduced exactly; says what would work.
    WinnowError
        If the method's schedule does not fit the model's depth, or there is no such method or parameter.
    """
    check_version()
    method = _method(reducer, parameters)
    model = whole(model)
    family = family_of(model)
    parts = family.parts(model)
    method = _fitted(method, family, len(parts.layers), trunk)
    check_model(model, parts, family, method)
    session = Session(parts, family, method, keys, relevance, trunk, texts)
    _warn_if_idle(method, len(parts.layers), session)
    with ExitStack() as stack:
        _claim(stack, parts.llm, session)
        _restore_offset(stack, parts.outer)
        _hook(stack, session, model)
        hook_generate(stack, session, model)
        _probe(stack, session)
        if session.family.fed:
            llm: Any = parts.llm
            feed = partial(session.feed, getattr(llm, FEEDING))
            stack.enter_context(replaced(llm, FEEDING, feed))
        if trunk is not None:
            stack.callback(trunk.done, method)
            for number, layer in enumerate(parts.layers):
                stack.enter_context(replaced(layer, "forward", partial(session.run_layer, number, layer.forward)))
        if session.pixels is not None:
            session.pixels.hook(stack)
        if session.tower is not None:
            session.tower.hook(stack)
        yield session.trace


def session_of(model: nn.Module) -> Session:
    """The session of the method that is attached to a model."""
    model = whole(model)
    session: Session = vars(family_of(model).parts(model).llm)[MARK]
    return session


def _claim(stack: ExitStack, llm: nn.Module, session: Session) -> None:
    """Mark a model as attached, in one step, so that of two threads one alone gets it."""
    if vars(llm).setdefault(MARK, session) is not session:
        raise UnsupportedError("a reducer is attached to this model already: leave its `with attach(...)` block first")
    stack.callback(vars(llm).pop, MARK)


def _restore_offset(stack: ExitStack, outer: nn.Module) -> None:
    """Leave a model with M-RoPE the offset of the last prompt that it had before."""
    if hasattr(outer, ROPE_DELTAS):
        stack.callback(setattr, outer, ROPE_DELTAS, getattr(outer, ROPE_DELTAS))


def _warn_if_idle(method: Reducer, depth: int, session: Session) -> None:
    """A schedule for a deeper model may leave a method nowhere to act, and what follows is then the unreduced model."""
    answers = type(method).reduce is not Reducer.reduce
    if answers and session.tower is None and not method.sites(depth):
        warnings.warn(
            f"{method.name} acts at none of the {depth} layers of this model, so nothing is reduced: "
            "give it a schedule that fits",
            stacklevel=4,
        )


def _fitted(method: Reducer, family: Family, depth: int, trunk: Trunk | None) -> Reducer:
    """The method where the model has the attention that it reads; says so where it has moved."""
    place = partial(fitted, depth=depth, every=family.full_every)
    made = place(method) if trunk is None else trunk.placed(method, place)
    if made is not method and not impossible(family, made, depth):
        was, now = (one.knobs(depth).get("schedule", one) for one in (method, made))
        there = attentive(depth, family.full_every)
        warnings.warn(f"{method.name} acts at {now} in place of {was}: layers {there} have attention", stacklevel=4)
    return made


def _method(reducer: object, parameters: Mapping[str, object]) -> Reducer:
    if isinstance(reducer, str):
        return named(reducer, parameters)
    if not isinstance(reducer, Reducer):
        raise WinnowError(f"{reducer!r} is no method: give one, as in FastV(ratio=0.5), or its name, 'fastv'")
    if parameters:
        given = ", ".join(parameters)
        raise WinnowError(f"{given}: parameters go with a method's name; {reducer!r} has its own already")
    return reducer


def _hook(stack: ExitStack, session: Session, model: nn.Module) -> None:
    """Register the session's hooks, to be removed when the stack closes."""
    parts, whole_model = session.parts, cast(Any, model)
    handles = [
        model.register_forward_pre_hook(session.before_model, with_kwargs=True),
        parts.outer.register_forward_pre_hook(session.before_outer, with_kwargs=True),
        parts.llm.register_forward_pre_hook(session.before_llm, with_kwargs=True),
        parts.llm.register_forward_hook(lambda *_: session.after_llm()),
        parts.outer.register_forward_hook(lambda *_: session.after_outer(), always_call=True),
        whole_model.lm_head.register_forward_pre_hook(session.before_head),
    ]
    for number, layer in enumerate(parts.layers):
        hook = partial(_before_layer, session, number)
        handles.append(layer.register_forward_pre_hook(hook, with_kwargs=True))
        if session.family.deepstack:
            handles.append(layer.register_forward_hook(lambda module, args, output: session.after_layer(output)))
    for handle in handles:
        stack.callback(handle.remove)


def _probe(stack: ExitStack, session: Session) -> None:
    """Tap the attentions and key projections that the method asks for, and hook into the layers it acts inside."""
    attention = dict[nn.Module, int]()
    for probe, number in session.probes:
        layer: Any = session.parts.layers[number]
        if isinstance(probe, Keys) and not probe.rope:
            hook = partial(_after_keys, session, number)
            stack.callback(layer.self_attn.k_proj.register_forward_hook(hook).remove)
        elif isinstance(probe, Change):
            stack.enter_context(replaced(layer, "forward", partial(session.watch_layer, number, layer.forward)))
        elif not isinstance(probe, Ahead):
            attention[layer.self_attn] = number
    if session.choosing is not None and session.choosing.before >= 0:
        chosen: Any = session.parts.layers[session.choosing.before]
        attention[chosen.self_attn] = session.choosing.before
    if attention:
        stack.enter_context(tap(attention, session.observe))
    for site in session.reducer.sites(session.depth):
        if site.kind == "inside":
            layer = session.parts.layers[site.number]
            norms = norms_of(layer)
            acts = BeforeMLP(partial(session.inside_layer, site), partial(session.fed, site.number))
            acts.hook(stack, layer, norms.before_mlp, norms.behind_mlp)


def _after_keys(session: Session, number: int, module: nn.Module, args: tuple[Any, ...], keys: Tensor) -> None:
    session.after_key_projection(number, keys)


def _before_layer(
    session: Session, number: int, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    return session.before_layer(number, args, kwargs)
