"""Every command that README and docs print is one that there is: its options parse, and its overrides compose."""

import re
from typing import Any

import pytest
import typer
from printed import COMMANDS

from winnow.harness.cli.main import app
from winnow.harness.config.expand import expand
from winnow.harness.config.hydra_api import hydra

COMPOSED = ("eval", "plan", "bench", "audit plan", "audit run", "audit show")
"""Commands that take overrides as run.py does, and nothing else that looks like one."""
ELSEWHERE = re.compile(r"=RUN|hydra/launcher|hydra\.launcher|\breducer=my_method")
"""What names a run, a launcher or a method that only a reader has."""


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
    for each in COMMANDS:
        try:
            parsed([*each.words])
        except Exception as error:
            wrong.append(f"{each.page}: winnow {each.text}: {error}")
    assert wrong == []


def test_a_wrong_option_would_be_found() -> None:
    for words in (["tables", "--formatt", "md"], ["tabels"], ["data", "fetched"], ["status"]):
        with pytest.raises(Exception, match=r"[Nn]o such|[Mm]issing"):
            parsed(words)


@pytest.mark.full
def test_every_override_of_the_pages_composes() -> None:
    wrong, count = [], 0
    for each in COMMANDS:
        name, context = parsed([*each.words])
        if name in COMPOSED and not ELSEWHERE.search(each.text):
            given = context.params.get("words") or context.params.get("overrides") or []
            many = "-m" in given or name != "eval"
            count += 1
            try:
                with hydra():
                    assert expand([word for word in given if "=" in word], many).jobs
            except Exception as error:
                wrong.append(f"{each.page}: winnow {each.text}: {error}")
    assert wrong == [] and count > 40
