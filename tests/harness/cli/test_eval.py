"""`winnow eval` is run.py without a checkout, and `winnow --version` names what answers depend on."""

import sys
from importlib.metadata import version

import pytest
from typer.testing import CliRunner

from winnow.harness.cli.main import app

runner = CliRunner()


@pytest.mark.parametrize("words", [["--help"], ["--cfg", "job", "reducer=fastv"]])
def test_flags_are_those_of_run_py(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["winnow", "eval", *words])
    done = runner.invoke(app, ["eval", *words])
    assert done.exit_code == 0
    assert ("reducer=custom reducer.target" if "--help" in words else "_target_: winnow.reducers.fastv") in done.stdout


def test_a_mistake_is_one_line_and_exit_code_2() -> None:
    done = runner.invoke(app, ["eval", "reducer=nope"])
    assert done.exit_code == 2 and done.stderr.startswith(
        "error: unknown reducer 'nope': did you mean none? choose aim,"
    )


@pytest.mark.parametrize("flag", ["--config-name=other", "--experimental-rerun=run.pickle"])
def test_flags_that_would_change_the_program_are_refused(flag: str) -> None:
    done = runner.invoke(app, ["eval", flag])
    assert done.exit_code == 2 and f"{flag.partition('=')[0]} is not for Winnow" in done.stderr


def test_version() -> None:
    lines = runner.invoke(app, ["--version"]).stdout.splitlines()
    assert f"winnow-vlm {version('winnow-vlm')}" in lines and f"torch {version('torch')}" in lines
