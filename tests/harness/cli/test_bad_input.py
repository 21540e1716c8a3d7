"""Every mistake in the input is one clear line on standard error and exit code 2, before anything is loaded."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from winnow.harness.config.choices import options
from winnow.reducers.core.errors import choose

ROOT = Path(__file__).resolve().parents[3]


def unknown(group: str) -> str:
    return f"unknown {group} 'nope': {choose('nope', options(group))}\n"


MISTAKES = {
    "unknown model": (["model=nope"], unknown("model")),
    "unknown reducer": (["reducer=nope"], unknown("reducer")),
    "unknown tasks": (["tasks=nope"], unknown("tasks")),
    "unknown schedule": (["schedule=nope"], unknown("schedule")),
    "unknown experiment": (["experiment=nope"], unknown("experiment")),
    "unknown option": (["foo=1"], "unknown option 'foo': choose batch_size, budget"),
    "added option": (["+foo=1"], "unknown option 'foo': choose batch_size, budget"),
    "typo in a group": (["+reducers=vas"], "unknown option 'reducers': did you mean reducer? choose batch_size"),
    "unknown model key": (["model.foo=1"], "unknown option 'foo' of model: choose arch, attn"),
    "added model key": (["+model.foo=1"], "unknown option 'foo' of model: choose arch, attn"),
    "unknown reducer key": (["reducer=fastv", "reducer.foo=1"], "unknown option 'foo' of reducer: choose R, positions"),
    "added reducer key": (["reducer=fastv", "+reducer.foo=1"], "unknown option 'foo' of reducer: choose R, positions"),
    "added schedule key": (["reducer=fastv", "+schedule.l1=1"], "unknown option 'l1' of schedule: choose k, of"),
    "ratio 0": (["reducer=fastv", "ratio=0"], "ratio=0 is not allowed: choose a share, 0 < ratio <= 1"),
    "ratio above 1": (["reducer=fastv", "ratio=1.2"], "ratio=1.2 is not allowed: choose a share, 0 < ratio <= 1"),
    "ratio no number": (["reducer=fastv", "ratio=abc"], "ratio=abc is not allowed: choose a share, 0 < ratio <= 1"),
    "ratio 0 of none": (["ratio=0"], "ratio=0 is not allowed"),
    "budget and ratio": (
        ["reducer=fastv", "ratio=0.5", "budget.mean=0.5"],
        "ratio=0.5 and budget.mean=0.5 exclude each",
    ),
    "two budgets": (["reducer=fastv", "budget.flops=0.5", "budget.mean=0.5"], "exclude each other"),
    "budget too large": (["reducer=fastv", "budget.mean=2"], "budget.mean=2.0 is not allowed: choose a share"),
    "budget out of reach": (
        ["reducer=fastv", "schedule=pico", "budget.mean=0.1"],
        "out of reach: this method attains 0.62",
    ),
    "ratio and tokens": (["reducer=fastv", "ratio=0.5", "budget.tokens=64"], "ratio=0.5 and budget.tokens=64 exclude"),
    "no tokens": (["reducer=fastv", "budget.tokens=0"], "budget.tokens=0 is not allowed: choose a number"),
    "unknown scope": (["reducer=fastv", "budget.tokens=9", "budget.scope=all"], "choose picture | tile"),
    "budget and native knob": (["reducer=fastv", "reducer.R=0.5", "budget.mean=0.5"], "give only one"),
    "wrong type": (["model.frames=abc"], "model.frames=abc is not allowed: give a value of type integer"),
    "wrong type of a knob": (
        ["reducer=fastv", "reducer.R=abc"],
        "reducer.R=abc is not allowed: choose a value of type float",
    ),
    "wrong choice": (
        ["reducer=fastv", "reducer.rows=foo"],
        "reducer.rows=foo is not allowed: choose last | text | all",
    ),
    "wrong flag": (["reducer=vas", "schedule=pico", "reducer.normalise=3"], "reducer.normalise=3 is not allowed"),
    "wrong schedule kind": (
        ["reducer=vas", "schedule=k"],
        "takes no schedule of kind 'k': choose schedule=pico, schedule=pico_r",
    ),
    "schedule for none": (["schedule=k"], "reducer=none takes no schedule of kind 'k': choose schedule=none"),
    "schedule beyond the depth": (["reducer=fastv", "schedule.k=9"], "schedule.k=9 lies beyond the LLM's 8 layers"),
    "schedule of several kinds": (
        ["reducer=fastv", "schedule=pico", "schedule.k=3"],
        "schedule.k=3 is not allowed: this schedule has several kinds, say schedule.k.k or schedule.k.of=",
    ),
    "schedule no number": (
        ["reducer=fastv", "schedule.k=two"],
        "schedule.k=two is not allowed: give whole layer numbers",
    ),
    "schedule no list": (
        ["reducer=pdrop", "schedule.cuts=5"],
        "schedule.cuts=5 is not allowed: give whole layer numbers in",
    ),
    "schedule no cut": (
        ["reducer=pdrop", "schedule.cuts=[]"],
        "schedule.cuts=[] is not allowed: give whole layer numbers in",
    ),
    "schedule falls": (["reducer=sparsevlm", "schedule.cuts=[9,4]"], "layers must rise, say schedule.cuts=[4,9]"),
    "schedule several": (
        ["reducer=fastv", "schedule.k=[1,2]"],
        "schedule.k=[1, 2] is not allowed: give whole layer numbers",
    ),
    "rounds several": (
        ["reducer=vas", "schedule.start=[3]"],
        "schedule.start=[3] is not allowed: give whole layer numbers",
    ),
    "first several": (
        ["reducer=tome", "schedule.layers=[1,2]"],
        "schedule.layers=[1, 2] is not allowed: give whole layer",
    ),
    "window ends first": (
        ["reducer=aim", "schedule.l1=5", "schedule.l2=3"],
        "schedule.l2=3 lies before schedule.l1=5: set schedule.l2 to 5 or more, or schedule.l1 to 3 or less",
    ),
    "rounds end first": (
        ["reducer=vas", "schedule.start=5", "schedule.end=3"],
        "schedule.end=3 lies before schedule.start=5",
    ),
    "device": (["model.device=gpu"], "model.device=gpu is not known: did you mean cuda? choose auto | cpu | cuda"),
    "drops nothing": (
        ["reducer=vas", "schedule.start=7"],
        "drops nothing in the 8 layers of model=pico at start=7 end=4",
    ),
    "unknown task name": (["tasks.tasks=[nope]"], "unknown task 'nope' in"),
    "no task": (["tasks.tasks=[]"], "tasks.tasks=[] is empty"),
    "no such folder": (["tasks.folder=nowhere"], "tasks.folder=nowhere does not exist"),
    "limit 0": (["limit=0"], "limit=0 is not allowed: choose 1 or more"),
    "share of documents": (["limit=0.5"], "limit=0.5 is not allowed: give a value of type integer"),
    "list without -m": (["seed=1,2"], "seed=1,2 stands for several values: say -m to run each, seed=[1,2] for a list"),
    "range without -m": (["seed=range(1,3)"], "seed=range(1,3) stands for several values: say -m"),
    "comma in a number": (["ratio=0,25"], "ratio=0.25 for one number"),
    "equal sign": (["results=a=b"], """results=a=b holds a character that needs quotes: say 'results="a=b"'"""),
    "number sign": (["results=a#b"], """say 'results="a#b"'"""),
    "nearest reducer": (["reducer=fstv"], "unknown reducer 'fstv': did you mean fastv? choose aim,"),
    "nearest model": (["model=gemma4"], "unknown model 'gemma4': did you mean gemma4_26b_a4b? choose gemma3_12b,"),
    "nearest option": (["modl=pico"], "unknown option 'modl': did you mean model?"),
    "nearest value": (["model.dtype=floot32"], "model.dtype=floot32 is not known: did you mean float32?"),
    "cuts of another depth": (
        ["reducer=pdrop", "schedule.cuts=[2,4]"],
        "schedule.cuts=[2, 4] of 32 layers are [1, 1] of 8",
    ),
    "cuts among kinds": (
        ["reducer=pdrop", "schedule=pico", "schedule.cuts=[3,5]"],
        "schedule.cuts is no single value, it holds several: say schedule.cuts.cuts=… or schedule.cuts.of=…",
    ),
    "no list": (["tasks.tasks=a"], "tasks.tasks takes a list: say tasks.tasks=[…]"),
    "bad grammar": (["reducer.rows=[1"], "no viable alternative"),
    "custom without target": (["reducer=custom"], "reducer.target is missing"),
    "custom of no module": (["reducer=custom", "reducer.target=no.such:Thing"], "'no.such:Thing' cannot be imported"),
    "custom of no class": (
        ["reducer=custom", "reducer.target=winnow.reducers.fastv"],
        "not of the form their.package:Class",
    ),
    "custom of no reducer": (["reducer=custom", "reducer.target=pathlib:Path"], "is not a dataclass derived from"),
    "custom parameter": (
        ["reducer=custom", "reducer.target=winnow.reducers.blind:Blind", "reducer.args.x=1"],
        "has no parameter 'x'",
    ),
    "custom type": (
        ["reducer=custom", "reducer.target=winnow.reducers.random:RandomDrop", "reducer.args.ratio=abc"],
        "reducer.ratio=abc is not allowed",
    ),
    "relevance": (["reducer=oracle", "tasks.relevance=false"], "needs documents that say which visual tokens matter"),
    "results below a file": (["results=/dev/full/runs"], "choose another folder with results=…"),
    "no weights": (["model.repo=/no/such/folder"], "'/no/such/folder' is no folder"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake_is_one_line(run: Callable[..., Any], name: str) -> None:
    overrides, expected = MISTAKES[name]
    ran = run(*overrides)
    assert ran.code == 2
    assert expected in ran.err
    assert ran.err.startswith("error: ")
    assert ran.err.count("\n") == 1


def test_results_below_a_file(run: Callable[..., Any], tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    ran = run(f"results={file}/runs")
    assert ran.code == 2
    assert "file" in ran.err and "choose another folder" in ran.err and ran.err.count("\n") == 1


def test_one_mistake_stops_a_sweep_before_it_starts(run: Callable[..., Any], results: Path) -> None:
    ran = run("-m", "reducer=fastv", "schedule.k=2,3,12")
    assert ran.code == 2
    assert "schedule.k=12 lies beyond" in ran.err
    assert not list(results.glob("*/env.json"))


def test_real_command_line() -> None:
    """No traceback and no chatter either when it is started as a program, even if Hydra is asked for full errors."""
    for environment in ({}, {"HYDRA_FULL_ERROR": "1"}):
        done = subprocess.run(
            [sys.executable, "run.py", "reducer=fastv", "ratio=1.2"],
            cwd=ROOT, capture_output=True, text=True, check=False, env=os.environ | environment,
        )  # fmt: skip
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == "error: ratio=1.2 is not allowed: choose a share, 0 < ratio <= 1, or null\n"
