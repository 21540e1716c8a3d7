"""Every command that README and docs print is one that there is: its options parse, and its overrides compose."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from winnow.harness.cli.main import app
from winnow.harness.config.expand import expand
from winnow.harness.config.hydra_api import hydra

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
COMPOSED = ("eval", "plan", "bench", "audit plan", "audit run", "audit show")
"""Commands that take overrides as run.py does, and nothing else that looks like one."""
ELSEWHERE = re.compile(r"=RUN|hydra/launcher|hydra\.launcher|\breducer=my_method")
"""What names a run, a launcher or a method that only a reader has."""


def commands() -> Iterator[tuple[str, list[str]]]:
    """Each page and command, as words; a line that ends in a backslash goes on in the next one."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8").replace("\\\n", " ")
        for line in re.findall(r"^ {4}((?:winnow|python run\.py) .*)$", text, re.MULTILINE):
            for part in re.sub(r"\s#\s.*", "", line).split(" && "):
                words = shlex.split(part)
                yield page.name, ["eval", *words[2:]] if words[0] == "python" else words[1:]


COMMANDS = sorted({(page, *words) for page, words in commands()})


def parsed(words: list[str]) -> tuple[str, Any]:
    """The name of the command that takes some words, and its context."""
    command: Any = typer.main.get_command(app)
    own = words[0].startswith("--")
    context, name, rest = command.make_context("winnow", [*words], resilient_parsing=own), [], words
    while hasattr(command, "commands") and not own:
        said, command, rest = command.resolve_command(context, rest)
        name.append(str(said))
        context = command.make_context(said, [*rest], parent=context)
    return " ".join(name), context


def test_every_command_of_the_pages_is_one_with_such_options() -> None:
    assert len(COMMANDS) > 90
    wrong = []
    for page, *words in COMMANDS:
        try:
            parsed(words)
        except Exception as error:
            wrong.append(f"{page}: winnow {shlex.join(words)}: {error}")
    assert wrong == []


def test_a_wrong_option_would_be_found() -> None:
    for words in (["tables", "--formatt", "md"], ["tabels"], ["data", "fetched"], ["status"]):
        with pytest.raises(Exception, match=r"[Nn]o such|[Mm]issing"):
            parsed(words)


@pytest.mark.full
def test_every_override_of_the_pages_composes() -> None:
    wrong, count = [], 0
    for page, *words in COMMANDS:
        name, context = parsed(words)
        text = shlex.join(words)
        if name in COMPOSED and not ELSEWHERE.search(text):
            given = context.params.get("words") or context.params.get("overrides") or []
            many = "-m" in given or name != "eval"
            count += 1
            try:
                with hydra():
                    assert expand([word for word in given if "=" in word], many).jobs
            except Exception as error:
                wrong.append(f"{page}: winnow {text}: {error}")
    assert wrong == [] and count > 40
