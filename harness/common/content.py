"""Names files by their content, and remembers the names, so that a large file is read once and not at every look."""

from __future__ import annotations

import hashlib
import re
import time
import uuid
from contextlib import suppress
from pathlib import Path

from winnow.harness.common.files import cache_folder

SETTLED = 2.0
"""Seconds after its last change from which a file's times tell the next one; names of younger files are not kept."""
_HEX = re.compile("[0-9a-f]{64}")
_known: dict[str, str] = {}


def content_hash(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal.

    Remembered, in this process and below `cache_folder`, by device, inode, size and the times of the last change of
    content and of state, which no program can set: a file that was replaced, edited at equal size or had its
    modification time put back is read again. A link counts as what it points to.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    key = _key(path)
    found = _known.get(key) or _remembered(key)
    if found is None:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if _key(path) != key or time.time() - path.stat().st_ctime < SETTLED:
            return found
        _remember(key, found)
    _known[key] = found
    return found


def _key(path: Path) -> str:
    stat = path.stat()
    state = (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
    return hashlib.sha256(repr(state).encode()).hexdigest()


def _place(key: str) -> Path:
    return cache_folder() / "content" / key[:2] / key


def _remembered(key: str) -> str | None:
    with suppress(OSError, UnicodeDecodeError):
        text = _place(key).read_text(encoding="ascii")
        return text if _HEX.fullmatch(text) else None
    return None


def _remember(key: str, found: str) -> None:
    """Keep a name; where the cache cannot be written the file is read again next time."""
    place = _place(key)
    draft = place.with_name(f".{key}-{uuid.uuid4().hex}")
    with suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(found, encoding="ascii")
        draft.replace(place)
