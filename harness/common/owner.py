"""Whose files these are: what another user wrote is told, once."""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path
from pwd import getpwuid


@cache
def tell_owner(path: Path) -> None:
    """Tell that a file or a folder belongs to another user, who may have written anything into it."""
    try:
        owner = path.stat().st_uid
    except OSError:  # whoever opens it says why it cannot be
        return
    if owner != os.getuid():
        print(f"note: {path} belongs to another user ({_name(owner)})", file=sys.stderr)


def _name(user: int) -> str:
    try:
        return getpwuid(user).pw_name
    except KeyError:
        return str(user)
