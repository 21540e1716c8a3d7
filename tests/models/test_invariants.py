"""Every invariant of the design on every method and family, eager and sdpa, alone and in a padded batch."""

import itertools

import pytest

from models.check import INVARIANTS, Case
from models.check.cases import BACKENDS, BATCHES, tiny_model
from models.engine import attach
from models.families import FAMILIES
from models.support import impossible
from reducers.base import Reducer
from reducers.blind import Blind
from reducers.errors import UnsupportedError
from reducers.fastv import FastV
from reducers.none import NoReduction
from reducers.random import RandomDrop
from reducers.schedule import K, Rounds
from reducers.vas import VAS

EARLY = Rounds(start=3, end=5, interval=1)
METHODS: dict[str, Reducer] = {
    "none": NoReduction(),
    "blind": Blind(),
    "random-entrance": RandomDrop(ratio=0.3),
    "random-entrance-compact": RandomDrop(ratio=0.3, positions="compact"),
    "random-layer": RandomDrop(ratio=0.3, schedule=K(2)),
    "fastv": FastV(ratio=0.25),
    "fastv-first": FastV(R=0.9, schedule=K(1)),
    "fastv-text": FastV(ratio=0.25, rows="text", schedule=K(3)),
    "fastv-all": FastV(ratio=0.25, rows="all", select="lowest"),
    "fastv-compact": FastV(ratio=0.25, positions="compact"),
    "vas": VAS(r=0.4, trigger=0.3, schedule=EARLY),
    "vas-spatial": VAS(ratio=0.2, forced="spatial", both="spatial", normalise=True, schedule=EARLY),
    "vas-compact": VAS(r=0.3, positions="compact", final="drop", schedule=EARLY),
    "vas-reset": VAS(r=0.3, history="reset", rows="last", schedule=EARLY),
}


COVERING = {("llava", "eager", "padded"), ("llava_onevision", "sdpa", "video"), ("qwen2_vl", "sdpa", "padded")}
"""Each method on every family, each with one attention implementation; the rest of the matrix is marked `full`."""

MATRIX = [
    pytest.param(*combination, marks=() if combination in COVERING else pytest.mark.full)
    for combination in itertools.product(FAMILIES, BACKENDS, BATCHES)
]


@pytest.mark.parametrize(("family", "attn", "batch"), MATRIX)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("invariant", INVARIANTS)
def test_invariant(invariant: str, method: str, family: str, attn: str, batch: str) -> None:
    case = Case(tiny_model(family, attn), METHODS[method], BATCHES[batch])
    if impossible(case.loaded.family, case.reducer):
        with pytest.raises(UnsupportedError, match=f"on {family}"), attach(case.loaded.model, case.reducer):
            pass
    else:
        INVARIANTS[invariant](case)
