"""The commands that README and docs print, and what they print below them."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMAND = re.compile(r"^(winnow|python|make|pip|source|export|hf|pytest|eval) ")


class Printed(NamedTuple):
    """A command of a page, as words of `winnow`, and the lines that stand below it as its output."""

    page: str
    words: tuple[str, ...]
    output: tuple[str, ...]

    @property
    def text(self) -> str:
        """As one would type it."""
        return shlex.join(self.words)


def commands() -> Iterator[Printed]:
    """Each command in order; a line that ends in a backslash goes on in the next one."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8").replace("\\\n", " ")
        for block in re.findall(r"(?:^ {4}.*\n)+", text, re.MULTILINE):
            lines = [line[4:] for line in block.splitlines()]
            for place, line in enumerate(lines):
                if re.match(r"winnow |python run\.py ", line):
                    yield from _parts(page.name, line, _below(lines[place + 1 :]))


def _below(lines: list[str]) -> tuple[str, ...]:
    until = next((place for place, line in enumerate(lines) if COMMAND.match(line)), len(lines))
    return tuple(line for line in lines[:until] if line.strip() != "…")


def _parts(page: str, line: str, output: tuple[str, ...]) -> Iterator[Printed]:
    for part in re.sub(r"\s#\s.*", "", line).split(" && "):
        words = shlex.split(part)
        yield Printed(page, ("eval", *words[2:]) if words[0] == "python" else tuple(words[1:]), output)


COMMANDS = [*{(each.page, each.words): each for each in commands()}.values()]
