"""Files that are either there as a whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from winnow.reducers.core.errors import WinnowError


class UnwritableError(WinnowError):
    """Nothing can be written where results go: no cell's fault, and nothing that another cell could do better."""


UNWRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR, errno.EEXIST}


def write(path: Path, fill: Callable[[Path], object]) -> None:
    """Let `fill` write a temporary file beside `path`, bring it to the disk, and give it its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    os.close(handle)
    draft = Path(name)
    try:
        fill(draft)
        draft.chmod(0o666 & ~_umask())
        sync(draft)
        draft.replace(path)
        sync(path.parent)
    finally:
        draft.unlink(missing_ok=True)


@cache
def _umask() -> int:
    """What the user lets nobody do; read from the kernel, as asking for it by `os.umask` would set it."""
    with suppress(OSError, StopIteration, ValueError):
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("Umask:")).split()[1], 8)
    return 0o022


def cache_folder() -> Path:
    """Where everything lies that can be made or fetched again: ``$WINNOW_CACHE``, else ``~/.cache/winnow``."""
    return Path(os.environ.get("WINNOW_CACHE") or Path.home() / ".cache" / "winnow").expanduser()


def write_folder(place: Path, fill: Callable[[Path], object]) -> None:
    """Let `fill` write a folder and give it its name, unless it is there; safe under several processes."""
    if place.exists():
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
    try:
        fill(draft)
        draft.chmod(0o777 & ~_umask())
        draft.rename(place)
    except OSError:
        if not place.exists():
            raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file."""
    write(path, lambda draft: draft.write_text(text, encoding="utf-8"))


def write_lines(path: Path, values: Iterable[object]) -> None:
    """Write a line of JSON for each value."""

    def fill(draft: Path) -> None:
        with draft.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(value, ensure_ascii=False, default=str) + "\n" for value in values)

    write(path, fill)


def write_json(path: Path, value: object) -> None:
    """Write a JSON file."""
    write_text(path, json.dumps(value, indent=1, default=str) + "\n")


def parse(text: str | bytes) -> Any:
    """Parse JSON that anybody may have written.

    Raises
    ------
    ValueError
        If it is none, or nested deeper than any file of ours.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises
    ------
    WinnowError
        If it is damaged; names it.
    """
    try:
        return parse(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise WinnowError(f"{path} is damaged ({error}): delete the folder and run again") from error


def sync(path: Path) -> None:
    """Bring a file or a folder to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        with suppress(OSError):  # some file systems cannot sync folders
            os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def writable(folder: Path) -> Iterator[None]:
    """Turn a failure to write below `folder` into one line.

    Raises
    ------
    UnwritableError
        Names the folder and the reason.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        raise UnwritableError(
            f"cannot write into {folder}: {error.strerror or error}; choose another folder with results=…"
        ) from error
