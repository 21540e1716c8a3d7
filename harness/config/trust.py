"""What a file that somebody else wrote may let Winnow execute: what Winnow registers, and nothing else unasked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import yaml

from winnow import configs
from winnow.harness.common.owner import tell_owner
from winnow.harness.config.cell import Cell, Method
from winnow.harness.config.compose import REPLAYS
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.registry import METHODS


def check_trust(cells: Iterable[Cell], source: Path, trust: bool) -> None:
    """Refuse code that a file names and Winnow does not register; tell whose file it is.

    Parameters
    ----------
    cells : iterable of Cell
        What the file holds.
    source : Path
    trust : bool
        Whether the user said that whatever it names may be executed.

    Raises
    ------
    WinnowError
        Names the field and its target.
    """
    found = next((line for cell in cells for line in strangers(cell)), None)
    if found is not None and not trust:
        raise WinnowError(f"{source} would execute {found}: if you know who wrote it, say --trust")
    tell_owner(source)


def strangers(cell: Cell) -> Iterator[str]:
    """What a cell would execute that Winnow does not register."""
    tasks, registered = cell.tasks, _registered()
    for name, value in (("prepare", tasks.prepare), ("folder", tasks.folder)):
        if value is not None and value not in registered[name]:
            yield f"tasks.{name}={value}"
    for method in _methods(cell.method):
        if method.target not in registered["target"]:
            yield f"reducer.target={method.target}"
    if cell.tracker.name != "none" and "://" in cell.tracker.place:
        yield f"tracker.place={cell.tracker.place}"
    if cell.model.trust_remote_code:
        yield f"model.trust_remote_code={cell.model.trust_remote_code}"


def _methods(method: Method) -> Iterator[Method]:
    yield method
    for part in method.parts:
        yield from _methods(part)


@cache
def _registered() -> dict[str, list[str]]:
    shipped = [yaml.safe_load(path.read_text()) for path in (configs.FOLDER / "tasks").glob("*.yaml")]
    targets = [*(f"winnow.reducers.{name}:{kind}" for name, kind in METHODS.items()), *REPLAYS]
    found = {name: [one[name] for one in shipped if one.get(name)] for name in ("prepare", "folder")}
    return found | {"target": targets}
