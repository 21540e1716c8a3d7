"""Prompts of unlike lengths answer in a batch as they do alone."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from winnow.reducers.core.base import Reducer
from winnow.reducers.core.schedule import K, Rounds
from winnow.reducers.fastv import FastV
from winnow.reducers.none import NoReduction
from winnow.reducers.prumerge import PruMerge
from winnow.reducers.vas import VAS

PATH = Path(__file__).parents[3] / "scripts" / "benches" / "batches.py"


@pytest.fixture(scope="module")
def bench(benchmark: Path) -> Any:
    spec: Any = importlib.util.spec_from_file_location("batches", PATH)
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WINNOW_CACHE", str(benchmark))
        module.asked, module.loaded = module.questions(10), module.pico()
        yield module


@pytest.mark.parametrize(
    "reducer",
    [
        NoReduction(),
        FastV(ratio=0.25, schedule=K(2)),
        VAS(r=0.3, schedule=Rounds(start=3, end=7, interval=2)),
        PruMerge(),
    ],
    ids=lambda reducer: reducer.name,
)
def test_a_batch_answers_as_single_documents_do(bench: Any, reducer: Reducer) -> None:
    alone = bench.answers(bench.loaded, reducer, bench.asked, 1)
    assert len({row.visual for row in alone}) == 2
    assert len({row.length for row in alone}) > 2
    assert bench.changed(alone, bench.answers(bench.loaded, reducer, bench.asked, 4)) == 0


def test_other_answers_are_counted(bench: Any) -> None:
    plain, cut = (bench.answers(bench.loaded, x, bench.asked[:3], 1) for x in (NoReduction(), FastV(ratio=0.25)))
    assert bench.changed(plain, cut) == 3
