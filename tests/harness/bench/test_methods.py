"""The registry of methods."""

import json

import pytest

from winnow.harness.bench.methods import methods, registry
from winnow.harness.cli.main import app
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.registry import METHODS

FOUND = {entry["name"]: entry for entry in registry([])}


def test_every_method_is_listed() -> None:
    assert set(FOUND) == set(METHODS) - {"compose"} == set(methods())
    assert json.loads(json.dumps(FOUND)) == FOUND


def test_what_is_said_of_a_few() -> None:
    fastv, evs, tome = FOUND["fastv"], FOUND["evs"], FOUND["tome_tower"]
    assert fastv["sites"] == ["layer"] and not fastv["attention_free"] and fastv["native"] == ["R"]
    says = "last (official code) | text | all (the paper's words)"
    assert fastv["knobs"]["rows"] == {"default": "last", "choices": ["last", "text", "all"], "says": says}
    assert (
        evs["attention_free"]
        and evs["licence"] == "Apache-2.0"
        and evs["code"] == "https://github.com/vllm-project/vllm"
    )
    assert tome["sites"] == ["tower"] and FOUND["prumerge"]["adaptive"] and FOUND["random"]["seeded"]


def test_whoever_has_a_paper_says_where_it_appeared() -> None:
    ours = {"blind", "none", "oracle", "random", "uniform"}
    assert {name for name, entry in FOUND.items() if not entry["paper"]} == ours
    assert all(entry["code"] is None or entry["code"].startswith("https://") for entry in FOUND.values())


def test_whoever_has_code_tells_its_licence() -> None:
    assert all(entry["licence"] for entry in FOUND.values() if entry["code"])
    assert FOUND["fastv"]["licence"] == "not looked up" and FOUND["fitprune"]["licence"] == "none"
    assert FOUND["random"]["licence"] is None


def test_every_knob_is_explained() -> None:
    silent = {
        f"{name}.{knob}"
        for name, entry in FOUND.items()
        for knob, told in entry["knobs"].items()
        if not told["says"] and knob != "schedule"
    }
    assert silent == {
        "aim.temperature",
        "aim.iterations",
        "aim_prune.temperature",
        "aim_prune.iterations",
        "vas.normalise",
    }


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    app(["methods", "evs", "--format", "json"], standalone_mode=False)
    assert [entry["name"] for entry in json.loads(capsys.readouterr().out)] == ["evs"]
    app(["methods", "--format", "csv"], standalone_mode=False)
    assert len(capsys.readouterr().out.splitlines()) == 1 + len(FOUND)
    with pytest.raises(WinnowError, match=r"unknown method 'fastw': did you mean fastv\? choose aim, "):
        registry(["fastw"])
