"""`winnow check` tells a sound method from a faulty one."""

import sys
from pathlib import Path

import pytest

import winnow
from winnow.harness.bench import check
from winnow.harness.cli import main as cli
from winnow.harness.common import progress
from winnow.harness.common.exits import INCOMPLETE, USER_ERROR

MODULE = """
from dataclasses import dataclass

from winnow import Reducer, Reduction, Site


@dataclass(frozen=True)
class Good(Reducer):
    kept: int = 4

    def sites(self, depth, tower=None):
        return (Site.layer(1, depth),)

    def count(self, site, grid, present):
        return min(self.kept, present)

    def reduce(self, view):
        kept = []
        for span in view.layout.spans:
            kept += [p for p in span.positions.tolist() if p in set(view.visual.tolist())][: self.kept]
        return Reduction(view.visual[[p in kept for p in view.visual.tolist()]])


@dataclass(frozen=True)
class Nowhere(Reducer):
    def layers(self, depth):
        return (1,)

    def reduce(self, view):
        return Reduction(view.visual[:1])


@dataclass(frozen=True)
class Faulty(Good):
    def reduce(self, view):
        return Reduction(view.visual.flip(0))
"""


@pytest.fixture
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of somebody else's with a good and a faulty method."""
    (tmp_path / "somebodys.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "somebodys", raising=False)
    return "somebodys"


def command(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["winnow", "check", *words])
    monkeypatch.setattr(check, "FAMILIES", ("llava", "qwen2_vl"))
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_good_method(theirs: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(monkeypatch, f"{theirs}:Good", "--arg", "kept=3", "--layers", "3") == 0
    out = capsys.readouterr().out
    assert "invariants of Good(kept=3)" in out and "qwen2_vl" in out


def test_it_tells_how_far_it_is(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(progress, "EVERY", 0.0)
    monkeypatch.setattr(check, "FAMILIES", ("llava", "qwen2_vl"))
    monkeypatch.setattr(check, "_impossible", lambda *_: "it cannot")
    every = len([*check.check(winnow.FastV(), 3)])
    assert f"checking: {every} of {every} qwen2_vl" in capsys.readouterr().err


def test_faulty_method(theirs: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(monkeypatch, f"{theirs}:Faulty", "--layers", "3") == INCOMPLETE
    assert "returned indices that are not strictly ascending: sort them" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("somebodys:Good", "--arg", "kept"), "'kept' is not of the form name=value"),
        (("somebodys:Good", "--arg", "keep=3"), "has no parameter 'keep': did you mean kept? choose kept"),
        (("somebodys:Missing",), "reducer target 'somebodys:Missing' cannot be imported"),
        (("somebodys:Nowhere",), "answers, but nowhere: let its sites(depth, tower) say where it acts"),
        (("somebodys:Good", "--arg", "kept=few"), "--arg kept=few is not allowed: choose a value of type int"),
        (("somebodys:Good", "--arg", "schedule.k=3"), "schedule.kind=None is not known: choose k, window"),
    ],
)
def test_mistakes_are_one_line(
    theirs: str,
    words: tuple[str, ...],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert command(monkeypatch, *words) == USER_ERROR
    err = capsys.readouterr().err
    assert err.startswith("error: ") and message in err and err.count("\n") == 1
