"""Completion of overrides: as bash splits their words, and in a real bash on a terminal."""

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from winnow.harness.cli.completion import complete
from winnow.harness.cli.main import app
from winnow.harness.config.choices import options
from winnow.harness.config.schema import GROUPS


def test_words_are_completed() -> None:
    assert complete("") == [f"{name}=" for name in GROUPS]
    assert complete("s") == ["schedule=", "share="]
    assert complete("reducer=fastv") == ["reducer=fastv", "reducer=fastvid"]
    assert complete("reducer=none,fastv") == ["reducer=none,fastv", "reducer=none,fastvid"]
    assert complete("tasks=") == [f"tasks={name}" for name in options("tasks")]
    assert complete("red") == [f"reducer={name}" for name in options("reducer")]  # no blank behind reducer=
    assert complete("ratio=") == complete("nothing=fastv") == []


@pytest.mark.parametrize(
    ("words", "incomplete", "found"),
    [
        (["reducer", "=", "prum"], "prum", ["prumerge"]),
        (["reducer", "=", "none,prum"], "none,prum", ["none,prumerge"]),
        (["share", "="], "", ["all", "none", "trunk"]),
        (["share=no"], "share=no", ["share=none"]),  # where COMP_WORDBREAKS has no =
        (["reducer", "=", "fastv", "share=no"], "share=no", ["share=none"]),
        (["reducer", "=", "fastv", "sh"], "sh", ["share=all", "share=none", "share=trunk"]),
        (["reducer", "=", ""], "", [f"{name}=" for name in GROUPS]),
    ],
)
def test_bash_ends_a_word_at_the_equals_sign(
    words: list[str], incomplete: str, found: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMP_WORDS", "\n".join(["winnow", "plan", *words]))
    monkeypatch.setenv("COMP_CWORD", str(1 + len(words)))
    assert complete(incomplete) == found


def test_every_command_that_takes_overrides_completes_them() -> None:
    found = {" ".join(path): argument for path, argument in _arguments(typer.main.get_command(app), ())}
    assert {"eval", "plan", "cost", "bench", "calibrate", "why", "plot", "audit run", "data check"} <= set(found)
    for path, argument in found.items():
        said = argument.shell_complete(None, "reducer=fastvi")
        assert [item.value for item in said] == ["reducer=fastvid"], f"winnow {path} completes no overrides"


def _arguments(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The arguments of every command whose help says that they are run.py's."""
    for name, below in getattr(command, "commands", {}).items():
        yield from _arguments(below, (*path, name))
    for one in command.params:
        if one.param_type_name == "argument" and "run.py" in (one.help or ""):
            yield path, one


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("winnow eval reducer=prum\t", "winnow eval reducer=prumerge "),
        ("winnow plan reducer=none ratio=0.5 mode\tX", "winnow plan reducer=none ratio=0.5 model=X"),
        pytest.param("winnow bench share=\t\t", "winnow bench share=\nall none trunk", marks=pytest.mark.full),
        pytest.param("winnow audit run tracker=w\t", "winnow audit run tracker=wandb ", marks=pytest.mark.full),
        pytest.param("winnow cost reducer=none,prum\t", "winnow cost reducer=none,prumerge ", marks=pytest.mark.full),
    ],
)
def test_in_a_real_bash(typed: str, shown: str, installed: Path) -> None:
    assert shown in _typed(typed, installed, shown)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `--install-completion` writes, as `--show-completion` prints it, with this `winnow` in the path."""
    winnow, script = Path(sys.executable).parent / "winnow", tmp_path_factory.mktemp("bash") / "winnow.sh"
    asked = os.environ | {"_WINNOW_COMPLETE": "source_bash"}
    made = subprocess.run([winnow], check=True, env=asked, capture_output=True, text=True).stdout
    script.write_text(f"PATH={winnow.parent}:$PATH\nbind 'set enable-bracketed-paste off'\n{made}\n")
    return script


def _typed(keys: str, script: Path, wanted: str) -> str:
    """What a terminal of bash shows once all was typed; read until it is what is wanted, or ten seconds are over."""
    child, terminal = pty.fork()
    if child == 0:  # pragma: no cover
        os.execvpe("bash", ["bash", "--norc", "--noprofile", "-i"], os.environ | {"TERM": "dumb", "COLUMNS": "200"})
    try:
        os.write(terminal, f"source {script}; echo REA''DY\n".encode())
        _read(terminal, "READY", 10)
        os.write(terminal, keys.encode())
        return _read(terminal, wanted, 10)
    finally:
        os.kill(child, 9)
        os.close(terminal)
        os.waitpid(child, 0)


def _read(terminal: int, wanted: str, seconds: float) -> str:
    """Read on, without carriage returns, bells and the blanks between columns."""
    screen, until = "", time.monotonic() + seconds
    while wanted not in screen and time.monotonic() < until:
        if select.select([terminal], [], [], 0.1)[0]:
            screen += os.read(terminal, 65536).decode(errors="replace")
            screen = re.sub(r"[ \t]+\n|\r|\x07", lambda found: "\n" if found[0].endswith("\n") else "", screen)
            screen = re.sub(r"(?<=\w)  +(?=\w)", " ", screen)
    return screen
