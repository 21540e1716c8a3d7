"""Two methods together, each configured as if it stood alone."""

from pathlib import Path
from typing import Any

import pytest
from cells import cell
from runs import Run, result_of, samples_of

from winnow.harness.config.label import label
from winnow.harness.plan.build import build_method
from winnow.harness.plan.identity import identify
from winnow.reducers.compose import Compose
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.schedule import Cuts, K
from winnow.reducers.fastv import FastV
from winnow.reducers.prumerge import PruMerge

PAIR = ("reducer=compose", "reducer.entrance.name=prumerge", "reducer.entrance.ratio=0.4", "reducer.llm.name=fastv")


def built(*words: str) -> Any:
    return build_method(cell(*words)).reducer


def test_parts_get_their_parameters() -> None:
    words = (*PAIR, "reducer.llm.ratio=0.3", "reducer.llm.schedule.k=5", "reducer.llm.rows=text")
    assert built(*words) == Compose(PruMerge(ratio=0.4), FastV(ratio=0.3, rows="text", schedule=K(5)))
    assert label(cell(*words)) == "prumerge 0.4 + fastv 0.3 rows=text"


def test_a_default_of_many_digits_is_no_setting() -> None:
    assert label(cell("reducer=vscan", "ratio=0.3")) == "vscan"


def test_schedule_by_name_by_kind_and_by_its_numbers() -> None:
    assert built(*PAIR, "reducer.llm.schedule=pico_k").llm.schedule == K(5)
    random = (*PAIR[:3], "reducer.llm.name=random")
    assert built(*random, "reducer.llm.schedule.k=3").llm.schedule == K(3)
    cuts = ("reducer.llm.schedule.kind=cuts", "reducer.llm.schedule.cuts=[2,4]", "reducer.llm.schedule.of=null")
    assert built(*random, *cuts).llm.schedule == Cuts((2, 4))


def test_native_knob_wins_over_the_ratio() -> None:
    assert built(*PAIR, "reducer.llm.R=0.7", "reducer.llm.ratio=0.5").llm == FastV(R=0.7)


def test_identity_sees_the_parts() -> None:
    ids = [identify(cell(*PAIR, *more)).run for more in ((), ("reducer.llm.ratio=0.3",), ("reducer.llm.schedule.k=3",))]
    assert len(set(ids)) == 3
    random = (*PAIR[:3], "reducer.llm.name=random", "reducer.llm.schedule.k=3")
    assert identify(cell(*random, "seed=1")).run != identify(cell(*random)).run
    assert identify(cell(*PAIR, "seed=1")).run == ids[0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["reducer.llm.name=nope"], "unknown reducer.llm.name 'nope': did you mean none? choose aim, aim_merge"),
        (["reducer.llm.foo=1"], "unknown option 'foo' of reducer.llm: choose R, name, positions, ratio, rounding"),
        (["reducer.foo=1"], None),
        (["reducer.llm.schedule=nope"], "unknown reducer.llm.schedule 'nope': did you mean none? choose cuts"),
        (["reducer.llm.schedule.l1=2"], "unknown option 'l1' of schedule: choose k, of"),
        (["reducer.llm.schedule.kind=nope"], "schedule.kind=nope is not known"),
        (["reducer.llm.schedule.k=9"], "schedule.k=9 lies beyond the LLM's 8 layers"),
        (["reducer.llm.rows=foo"], "reducer.llm.rows=foo is not allowed: choose last | text | all"),
        (["reducer.llm.ratio=2"], "ratio=2 is not allowed"),
        (["reducer.llm.name=prumerge"], "prumerge acts in the vision tower: make it the method of the entrance"),
        (["reducer.llm.name=random"], "random acts at the entrance: give it a schedule"),
        (["reducer.entrance.name=fastv"], "fastv acts inside the LLM: for the entrance choose"),
        (["ratio=0.5"], "ratio=0.5 is not for two methods: say reducer.entrance.ratio and reducer.llm.ratio"),
        (["budget.mean=0.5"], "budget.mean=0.5 is not for two methods"),
        (["schedule=k"], "reducer=compose takes no schedule of kind 'k': choose schedule=none"),
    ],
)
def test_mistakes_are_one_line(words: list[str], message: str | None, run: Run) -> None:
    ran = run(*PAIR, *words)
    assert ran.code == 2 and ran.err.startswith("error: ") and ran.err.count("\n") == 1
    assert message is None or message in ran.err


def test_composed_aim_is_aim(run: Run, results: Path) -> None:
    window = {"l1": 3, "l2": 7, "of": "null"}
    alone = [f"schedule.{name}={value}" for name, value in window.items()]
    part = [f"reducer.llm.schedule.{name}={value}" for name, value in window.items()]
    assert run("reducer=aim", "ratio=0.5", *alone).code == 0
    assert run("reducer=compose", "reducer.entrance.ratio=0.5", *part).code == 0
    one, two = sorted((path.parent for path in results.glob("*/DONE")), key=lambda f: result_of(f)["reducer"])
    assert result_of(two)["label"] == "aim_merge 0.5 + aim_prune" and result_of(one)["reducer"] == "aim"
    kept = ("doc_id", "tokens_per_layer", "visual_per_layer", "answer")
    first, second = ([{k: row.get(k) for k in kept} for row in samples_of(folder)] for folder in (one, two))
    assert first == second and len(first) == 8
    assert result_of(one)["shares"] == result_of(two)["shares"] and result_of(one)["shares"]["last"] < 0.5


def test_custom_is_no_part() -> None:
    with pytest.raises(WinnowError, match=r"unknown reducer.entrance.name 'custom'"):
        cell("reducer=compose", "reducer.entrance.name=custom")
