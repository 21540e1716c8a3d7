"""Where things lie that are named relative to an installed package."""

from __future__ import annotations

import os
from pathlib import Path

from winnow.harness.common.sources import package_folder

PACKAGE = "package://"


def existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())


def locate(name: str) -> Path | None:
    """Find a folder: an absolute or existing path, or one inside an installed package; None: neither.

    ``package://winnow/models/pico/weights`` and ``winnow/harness/tasks/pico`` lie in a package; a hub id does not.
    """
    inside = name.removeprefix(PACKAGE)
    if inside == name and (own := Path(os.path.expanduser(name))).is_dir():  # noqa: PTH111 - takes ~nobody-there as it is
        return own.resolve()
    root = package_folder(inside.partition("/")[0]) if not Path(inside).is_absolute() else None
    found = root / inside if root else None
    return found if found is not None and found.is_dir() else None
