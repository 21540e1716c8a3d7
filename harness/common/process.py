"""What libraries of a process that answers documents read from its environment when they are imported."""

from __future__ import annotations

import os

SETTINGS = {
    "OMP_WAIT_POLICY": "PASSIVE",  # threads that spin make a shared machine four times slower
    "ARROW_DEFAULT_MEMORY_POOL": "system",  # the others keep what a table of some thousand tokens a row took
}


def settle() -> None:
    """Set what the user has not set."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
