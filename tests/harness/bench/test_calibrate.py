"""`winnow calibrate` finds VTW's layer by its divergences, and VAS' ratio by what its traces keep."""

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from winnow.harness.bench.calibrate import bisect, divergences, first_within, gather, prefill, retention
from winnow.harness.bench.calibrators import compose_cell
from winnow.harness.cli import main as cli
from winnow.harness.cost.hardware import hardware
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.schedule import K
from winnow.reducers.fastv import FastV
from winnow.reducers.none import NoReduction
from winnow.reducers.vtw import VTW

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], benchmark: Path) -> Command:
    monkeypatch.setenv("WINNOW_CACHE", str(benchmark))

    def go(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["winnow", "calibrate", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, captured.out, captured.err

    return go


def test_divergence_is_that_of_the_definition(monkeypatch: pytest.MonkeyPatch, benchmark: Path) -> None:
    monkeypatch.setenv("WINNOW_CACHE", str(benchmark))
    loaded, found = gather(compose_cell("vtw", ["batch_size=2"], 3))
    kl = divergences(loaded, found, VTW(), [2, 7], lambda done: None)
    expected = []
    for batch in found:
        p, full = (prefill(loaded, batch, r)[0].double().exp() for r in (VTW(schedule=K(2)), NoReduction()))
        for ours, theirs in zip(p, full, strict=True):
            expected.append(sum(float(a * (a / b).log()) for a, b in zip(ours, theirs, strict=True)))
    assert len(expected) == 3 and kl[2] == pytest.approx(sum(expected) / 3, rel=1e-3)
    assert kl[2] > kl[7] >= 0
    assert retention(loaded, found, NoReduction()) == 1
    assert retention(loaded, found, FastV(ratio=0.4, schedule=K(4))) == pytest.approx(0.7)
    assert torch.isfinite(prefill(loaded, found[0], NoReduction())[0]).all()


def test_first_layer_within_eta() -> None:
    assert first_within({5: 0.1, 6: 0.002, 7: 0.0}, 0.003) == 6
    with pytest.raises(WinnowError, match=r"--eta 0.001 is met by no layer: the least KL is 0.1 at k=5; raise --eta"):
        first_within({5: 0.1, 6: 0.2}, 0.001)


def test_bisect_names_what_is_attainable() -> None:
    assert bisect(lambda x: x / 2 + 0.5, 0.7, 0.01)[0] == pytest.approx(0.4, abs=0.001)
    with pytest.raises(WinnowError, match=r"--mean 0.3 is out of reach: these documents attain 0.5 to 1, the nearest"):
        bisect(lambda x: x / 2 + 0.5, 0.3, 0.01)


def test_vtw_prints_the_table_and_the_override(command: Command) -> None:
    code, out, _ = command("vtw", "model=pico", "--documents", "3", "--eta", "10")
    assert code == 0 and out.splitlines()[-1] == "reducer=vtw schedule.k=5"
    assert [line.split()[0] for line in out.splitlines()[:-1]] == ["k", "5", "6", "7"]


@pytest.mark.parametrize("knob", ["ratio", "r"])
def test_vas_meets_the_wanted_retention(command: Command, knob: str) -> None:
    code, out, _ = command("vas", "schedule=pico", "--documents", "3", "--mean", "0.8", "--knob", knob)
    found = re.fullmatch(r"mean retention (\S+) of 0\.8 asked for\nreducer=vas (ratio|reducer\.r)=(0\.\d+)\n", out)
    assert code == 0 and found and abs(float(found[1]) - 0.8) <= 0.02


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["fastv"], "fastv cannot be calibrated: choose cpu | vas | vtw"),
        (["vtw", "model=nope"], "unknown model 'nope': choose"),
        (["vtw", "foo=1"], "unknown option 'foo'"),
        (["vtw", "reducer=vas"], "'reducer=vas' is not allowed here"),
        (["vtw", "--first", "0"], "--first 0 is not allowed: choose 1 or more"),
        (["vas", "--mean", "2"], "is not allowed: choose --knob ratio | r, and 0 < mean < 1"),
    ],
)
def test_mistakes_are_one_line(command: Command, words: list[str], message: str) -> None:
    code, _, err = command(*words)
    assert code == 2 and message in err and err.count("\n") == 1


def test_a_cpus_words_are_understood_by_winnow_cost(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("winnow.harness.bench.modelled.SIDE", {"cpu": 64})
    monkeypatch.setattr("winnow.harness.bench.modelled.COPIED", {"cpu": 2**16})
    code, out, _ = command("cpu")
    name, *figures = out.splitlines()[-1].split()
    assert code == 0 and name == "hardware=cpu"
    machine = hardware("cpu", [figure.removeprefix("hardware.") for figure in figures])
    assert machine.bandwidth > 0 and machine.flops("float32") > 0 and machine.flops("bfloat16") > 0
