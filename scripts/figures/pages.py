"""Writes figures into the marked blocks of the documents, and nothing around them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[2]
BLOCK = "<!-- made by scripts/pico_figures.py: {} -->\n{}<!-- until here -->"


def write_block(page: Path, name: str, lines: Iterable[str]) -> None:
    """Replace what stands in one block of a page.

    Raises
    ------
    SystemExit
        If the page has no such block.
    """
    pattern = re.compile(BLOCK.format(re.escape(name), ".*?"), re.DOTALL)
    made = BLOCK.format(name, "\n" + "".join(f"{line}\n" for line in lines) + "\n")
    before = page.read_text(encoding="utf-8")
    after, count = pattern.subn(lambda _: made, before)
    if count != 1:
        raise SystemExit(f"{page} has {count} blocks '{name}', one is wanted")
    page.write_text(after, encoding="utf-8")
