"""Which methods are timed beside each other: every combination of the overrides' lists, and the unreduced model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from winnow.harness.config.cell import Cell
from winnow.harness.config.label import label
from winnow.harness.config.messages import one_line
from winnow.harness.config.overrides import cell_from
from winnow.harness.plan.build import Built, build_method
from winnow.reducers.core.errors import WinnowError

BASELINE = "none"
COMMON = "eager + output_attentions"
"""The unreduced model as attention scores are commonly had: every matrix computed, kept and returned."""
FIXED = ("model", "seen", "batch_size")


@dataclass(frozen=True)
class Variant:
    """A method to be timed.

    Attributes
    ----------
    name : str
    cell : Cell
    built : Built or None
        None: the plain model, without the engine.
    """

    name: str
    cell: Cell
    built: Built | None


def variants(overrides: Sequence[str], common: bool = False) -> list[Variant]:
    """Resolve overrides as `run.py -m` takes them; the unreduced model stands first, `COMMON` last.

    Raises
    ------
    WinnowError
        For unknown keys and values, and for lists of anything but methods.
    """
    found = list(_cells(overrides))
    baseline, others = found[0], [cell for cell in found[1:] if cell.method.name != BASELINE]
    for cell in others:
        for name in FIXED:
            if getattr(cell, name) != getattr(baseline, name):
                raise WinnowError(
                    "bench times methods on one model, one prompt and one batch size: run it once for each"
                )
    methods = {repr(cell.method): cell for cell in others}
    names = _names(list(methods.values()))
    timed = [Variant(name, cell, build_method(cell)) for name, cell in names.items()]
    eager = replace(baseline, model=replace(baseline.model, attn="eager"))
    return [Variant(BASELINE, baseline, None), *timed, *([Variant(COMMON, eager, None)] if common else [])]


def _cells(overrides: Sequence[str]) -> Iterator[Cell]:
    """Compose the unreduced cell, then every combination."""
    for word in overrides:
        if "=" not in word or word.startswith(("experiment=", "tasks")):
            raise WinnowError(f"'{word}' is not allowed here: give name=value, of the model, the reducer, its schedule")
    batch = [] if any(word.startswith("batch_size=") for word in overrides) else ["batch_size=1"]
    choices = [choices_of(word) for word in [*overrides, *batch]]
    yield cell_from([word for word, *_ in choices if not word.startswith(("reducer", "schedule", "ratio", "budget"))])
    for words in product(*choices):
        yield cell_from(words)


def choices_of(word: str) -> list[str]:
    """The overrides that one override with a list stands for."""
    try:
        (override,) = OverridesParser.create().parse_overrides([word])
    except HydraException as error:
        raise WinnowError(one_line(error)) from error
    if not override.is_sweep_override():
        return [word]
    return [f"{override.get_key_element()}={value}" for value in override.sweep_string_iterator()]


def _names(cells: Sequence[Cell]) -> dict[str, Cell]:
    """Call each method by its label and what was asked of it, and by its schedule where that alone tells it apart."""
    short = [" ".join(filter(None, (label(cell), cell.asked))) for cell in cells]
    return {
        name if short.count(name) == 1 else f"{name} {_schedule(cell)}": cell
        for name, cell in zip(short, cells, strict=True)
    }


def _schedule(cell: Cell) -> str:
    return " ".join(f"{name}={value}" for name, value in (cell.method.schedule or {}).items() if name != "kind")
