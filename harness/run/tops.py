"""What results begin with: enough to choose among thousands of runs, without reading any of them whole."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from winnow.harness.common.owner import tell_owner
from winnow.harness.common.run_files import IMPORTED, RESULT
from winnow.harness.run.result import results_of

HEAD = 1024
"""Bytes at the beginning of a result that hold its top, as it is written."""


class Top(NamedTuple):
    """What a result begins with; see `Result`."""

    id: str
    context: str
    settings: str
    status: str
    finished: str
    model: str
    reducer: str
    label: str


_TOP = re.compile(r"\{\s*" + r",\s*".join(rf'"{name}": "([^"\\]*)"' for name in Top._fields))


def tops_below(folder: Path) -> list[Top]:
    """The tops of all runs below a folder that were computed here, of equal settings the last one, the oldest first.

    A result that does not begin so is read whole; a damaged one is named and left out.
    """
    tell_owner(folder)
    found = sorted(_tops(folder), key=lambda top: (top.finished, top.id))
    last = {top.settings: top for top in found}
    return [top for top in found if last[top.settings] is top]


def _head(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(HEAD).decode(errors="replace")
    except OSError:  # whoever reads it whole says why it cannot be
        return ""


def _tops(folder: Path) -> Iterator[Top]:
    for path in folder.glob(f"*/{RESULT}"):
        run = path.parent.name
        if run.startswith(IMPORTED):
            continue
        found = _TOP.match(_head(path))
        if found is not None and found[1] == run:
            yield Top(*found.groups())
        else:
            for one in results_of(folder, [run]):
                yield Top(**{name: one[name] for name in Top._fields})  # type: ignore[literal-required]
