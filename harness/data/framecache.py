"""Decoded frames on disk: found by the video's content, checked by a checksum, within a budget of bytes."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np

from winnow.harness.common import files
from winnow.harness.data.decoders import Decoded
from winnow.reducers.core.errors import WinnowError

GIGABYTES = 20.0
PIECE = 1 << 20
SPARE = 0.9
"""Share of the budget that is left after a clean-up."""


class FrameCache:
    """A folder of decoded frames; safe under several processes, as entries appear whole and readers check them.

    Parameters
    ----------
    folder : Path
    budget : float
        Bytes; the entries that were used longest ago go first.
    """

    def __init__(self, folder: Path, budget: float) -> None:
        self.folder, self.budget = folder, budget
        self.hits = self.misses = 0
        self.broken = not budget > 0

    def get(self, key: str) -> Decoded | None:
        """Find frames; a damaged entry is thrown away."""
        path = self._path(key)
        try:
            line, _, data = path.read_bytes().partition(b"\n")
            head = json.loads(line)
            if hashlib.blake2b(data, digest_size=16).hexdigest() != head["sum"]:
                raise ValueError("the checksum is another")
            frames = np.frombuffer(bytearray(data), np.uint8).reshape(head["shape"])
        except FileNotFoundError:
            self.misses += 1
            return None
        except (OSError, ValueError, KeyError):
            self.misses += 1
            with suppress(OSError):
                path.unlink()
            return None
        self.hits += 1
        with suppress(OSError):
            os.utime(path)
        return frames, float(head["rate"])

    def put(self, key: str, decoded: Decoded) -> None:
        """Keep frames; if that fails, say so once and go on without the cache."""
        frames, rate = decoded
        data = np.ascontiguousarray(frames).tobytes()
        if self.broken or len(data) > self.budget:
            return
        total = hashlib.blake2b(data, digest_size=16).hexdigest()
        head = {"shape": frames.shape, "rate": rate, "sum": total}
        try:
            files.write(self._path(key), lambda draft: draft.write_bytes(json.dumps(head).encode() + b"\n" + data))
            self._clean()
        except OSError as error:
            self.broken = True
            print(f"decoded frames are not kept: cannot write into {self.folder}: {error.strerror}", file=sys.stderr)

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.frames"

    def _clean(self) -> None:
        found = []
        for path in self.folder.glob("*/*.frames"):
            with suppress(OSError):  # another process may be cleaning up, too
                found.append((path.stat().st_mtime, path.stat().st_size, path))
        held = sum(size for _, size, _ in found)
        if held <= self.budget:
            return
        for _, size, path in sorted(found):
            if held <= SPARE * self.budget:
                break
            with suppress(OSError):
                path.unlink()
            held -= size


def key_of(path: Path, *settings: object) -> str:
    """Name frames by the video's size and pieces of its content, and by how they are chosen; a moved file is found."""
    size = path.stat().st_size
    found = hashlib.sha256(repr((size, *settings)).encode())
    with path.open("rb") as file:
        for place in sorted({0, max(0, size // 2 - PIECE // 2), max(0, size - PIECE)}):
            file.seek(place)
            found.update(file.read(PIECE))
    return found.hexdigest()


@cache
def frame_cache(folder: Path, budget: float) -> FrameCache:
    """The cache of this process for a folder."""
    return FrameCache(folder, budget)


def current() -> FrameCache:
    """The cache below ``$WINNOW_CACHE``, else ``~/.cache/winnow``; ``$WINNOW_FRAMES_GB`` is its budget, 0 turns it off.

    Raises
    ------
    WinnowError
        If the budget is no number.
    """
    text = os.environ.get("WINNOW_FRAMES_GB") or str(GIGABYTES)
    try:
        budget = float(text) * 1e9
    except ValueError:
        budget = -1.0
    if not budget >= 0:
        raise WinnowError(f"WINNOW_FRAMES_GB={text} is not allowed: give gigabytes, 0 or more")
    return frame_cache(files.cache_folder() / "frames", budget)
