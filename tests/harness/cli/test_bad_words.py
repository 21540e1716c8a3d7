"""Every mistake on the command line of `winnow` is one clear line on standard error and exit code 2."""

import sys
from pathlib import Path

import pytest

from winnow.harness.cli.main import main

MISTAKES = {
    "no such command": (["nope"], "No such command 'nope'"),
    "no such option": (["tables", "--nope"], "No such option: --nope"),
    "missing argument": (["compare", "a"], "Missing argument 'second'"),
    "unknown format": (["tables", "aim_table_D", "--format", "pdf"], "--format pdf is not allowed: choose rich, md"),
    "misspelt format": (["tables", "--format", "latx"], "--format latx is not allowed: did you mean latex? choose"),
    "misspelt axis": (["plot", "--out", "x.png", "--x", "flop"], "--x flop is not allowed: did you mean flops?"),
    "misspelt pivot": (["tables", "--pivot", "tasks"], "--pivot tasks is not allowed: did you mean task? choose task"),
    "machine of a cost": (["plan", "hardware=h20"], "it belongs to `winnow cost hardware="),
    "name with a slash": (["plan", "reducer=fast/v"], "unknown reducer 'fast/v': did you mean fastv?"),
    "rows of a paper": (["tables", "nope", "--where", "mean<1"], "--where is for your own runs: a paper's table has"),
    "columns of a file": (["tables", "--out", "x.csv", "--columns", "n"], "--columns is for tables that are printed"),
    "unknown table": (["tables", "nope"], "unknown table 'nope': choose aim_poster_adaptive, "),
    "empty store": (["tables", "--results", "EMPTY"], "there are no runs in EMPTY: make some with run.py"),
    "nothing to export": (["export", "EMPTY/x.csv", "--results", "EMPTY"], "there are no finished runs in EMPTY"),
    "nothing to report": (["report", "--results", "EMPTY"], "there are no runs in EMPTY"),
    "missing run": (["compare", "a", "b", "--results", "EMPTY"], "a is no run in EMPTY: `winnow tables` lists them"),
    "run of a picture": (["view", "a", "--sample", "1", "--results", "EMPTY"], "a is no run in EMPTY"),
    "suffix of a picture": (["view", "a", "--sample", "1", "--out", "x.gif"], "--out x.gif is not allowed: choose"),
    "runs for schedules": (["plot", "--x", "schedules", "--out", "x.png", "a"], "draws plans, not runs"),
    "published and more": (["cost", "--published", "more=1"], "--published takes no overrides"),
    "no place to write": (["plot", "--x", "schedules", "--out", "/proc/x.png", "reducer=fastv"], "cannot open /proc/x"),
}


@pytest.mark.parametrize("words", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_line(
    words: tuple[list[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given, said = words
    monkeypatch.setattr(sys, "argv", ["winnow", *(word.replace("EMPTY", str(tmp_path)) for word in given)])
    with pytest.raises(SystemExit) as stopped:
        main()
    (line,) = capsys.readouterr().err.splitlines()
    assert stopped.value.code == 2 and line.startswith("error: ")
    assert said.replace("EMPTY", str(tmp_path)) in line


def test_no_word_at_all_prints_the_help(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["winnow"])
    with pytest.raises(SystemExit):
        main()
    said = capsys.readouterr()
    assert "tables" in said.out + said.err and "error" not in said.err
