"""The information horizon: the layer from which on it does not matter which tokens are left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from winnow.harness.audit.card import Check, Curve, Judgement, Line, Measured, line
from winnow.harness.audit.contrast import contrast, names, value
from winnow.harness.audit.needs import QUARTERS
from winnow.harness.audit.runs import Ran, Runs

RANDOM, CHOICE = "random dropping at layer", "the method at layer"
THEN = "the method, then half of that at random at layer"
GAP, LOSS = "its choice minus random, at layer", "what random dropping of half costs after it, at layer"
COMPOSED = "compose"


def _measure(runs: Runs) -> Measured:
    found, curves = [], []
    for name in names(runs["method"]):
        random = [(_layer(runs[role]), runs[role]) for where in QUARTERS if (role := f"random {where}") in runs]
        choice = [(_layer(runs[role]), runs[role]) for where in QUARTERS if (role := f"choice {where}") in runs]
        then = any(ran.result["reducer"] == COMPOSED for _, ran in choice)
        curves += [_curve(RANDOM.removesuffix(" at layer"), random, name)]
        curves += [_curve("the method, then random" if then else "the method", choice, name)] if choice else []
        found += [one for layer, ran in random for one in _value(f"{RANDOM} {layer}", ran, name)]
        found += [one for layer, ran in choice for one in _value(f"{THEN if then else CHOICE} {layer}", ran, name)]
        found += [*(_losses(choice, runs["method"], name) if then else _gaps(choice, random, name))]
    return Measured(found, [one for one in curves if len(one.points) > 1])


def _layer(ran: Ran) -> int:
    """Where tokens go: of two methods the second one's layer, the last at which a sample loses some."""
    cuts = {
        layer
        for answer in ran.answers.values()
        for layer, count in enumerate(answer.per_layer)
        if count < (answer.per_layer[layer - 1] if layer else answer.visual)
    }
    return max(cuts, default=0)


def _value(what: str, ran: Ran, name: str) -> Iterator[Line]:
    found = value(ran, name)
    if found is not None:
        yield line(what, found[0], "%", n=found[1], on=name)


def _curve(what: str, runs: Sequence[tuple[int, Ran]], name: str) -> Curve:
    points = [(float(layer), found[0]) for layer, ran in runs if (found := value(ran, name))]
    return Curve(f"{what}, {name}", [(x, one.mean, one.low, one.high) for x, one in points], "layer", "accuracy (%)")


def _gaps(choice: Sequence[tuple[int, Ran]], random: Sequence[tuple[int, Ran]], name: str) -> Iterator[Line]:
    """The method at each layer against as many tokens at random at the same layer."""
    for layer, ran in choice:
        other = next((one for place, one in random if place == layer), None)
        found = contrast(ran, other, name) if other else None
        if found is not None:
            yield line(f"{GAP} {layer}", found.gap, n=found.n, on=name)


def _losses(choice: Sequence[tuple[int, Ran]], method: Ran, name: str) -> Iterator[Line]:
    for layer, ran in choice:
        found = contrast(ran, method, name)
        if found is not None:
            yield line(f"{LOSS} {layer}", found.gap, n=found.n, on=name)


def _judge(lines: Sequence[Line]) -> Judgement:
    gaps = [one for one in lines if one.what.startswith(GAP)]
    losses = [one for one in lines if one.what.startswith(LOSS)]
    if not gaps and not losses:
        return "open", "where its choice stops to matter is not known: it acts at no single layer, nor before the LLM"
    told = [_told(name, [one for one in gaps or losses if one.on == name], bool(gaps)) for name in _figures(lines)]
    if gaps and not any(one.above for one in gaps):
        return "finding", f"its choice matters at no layer: {'; '.join(told)}"
    return "sound", "; ".join(told)


def _figures(lines: Sequence[Line]) -> list[str]:
    return list(dict.fromkeys(one.on for one in lines))


def _told(name: str, lines: Sequence[Line], choice: bool) -> str:
    """The first layer from which on nothing differs."""
    differs = [one.above if choice else one.below for one in lines]
    beyond = next((place for place in range(len(lines)) if not any(differs[place:])), None)
    if beyond is None:
        return f"{name}: it matters at all layers that were tried"
    layer = lines[beyond].what.rpartition(" ")[2]
    return f"{name}: from layer {layer} on " + ("random dropping does as well" if choice else "random dropping is free")


CHECK = Check(
    "horizon",
    "Horizon",
    "random dropping of as many tokens that does as well at every layer",
    tuple(f"random {where}" for where in QUARTERS),
    tuple(f"choice {where}" for where in QUARTERS),
    _measure,
    _judge,
)
