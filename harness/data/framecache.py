"""Decoded frames on disk, compressed without loss: found by the video's whole content, within a budget of bytes."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from contextlib import suppress
from fractions import Fraction
from functools import cache
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import numpy as np

from winnow.harness.common import files
from winnow.harness.common.content import content_hash
from winnow.harness.data.video.clip import Allocate, Clip, private
from winnow.reducers.core.errors import WinnowError

GIGABYTES = 20.0
SPARE = 0.9
"""Share of the budget that is left after a clean-up."""
HALF_MEGAPIXEL = 1 << 19


class FrameCache:
    """A folder of decoded frames; safe under several processes, as entries appear whole and readers check them.

    Frames are kept with FFV1, which gives back every bit, at an eighth to a sixth of their size: 32 frames of each of
    Video-MME's 900 videos, 80 GB at 720p, fit the default budget.

    Parameters
    ----------
    folder : Path
    budget : float
        Bytes; the entries that were used longest ago go first.
    """

    def __init__(self, folder: Path, budget: float) -> None:
        self.folder, self.budget = folder, budget
        self.hits = self.misses = 0
        self.broken, self.note = not budget > 0, ""

    def get(self, key: str, allocate: Allocate = private) -> Clip | None:
        """Find frames; a damaged entry is thrown away."""
        path = self._path(key)
        try:
            line, _, data = path.read_bytes().partition(b"\n")
            head = json.loads(line)
            if _sum(data).hexdigest() != head.pop("sum"):
                raise ValueError("the checksum is another")
            frames = unpacked(data, allocate((head.pop("frames"), *head.pop("size"), 3)))
        except FileNotFoundError:
            self.misses += 1
            return None
        except (OSError, ValueError, KeyError, TypeError):
            self.misses += 1
            with suppress(OSError):
                path.unlink()
            return None
        self.hits += 1
        with suppress(OSError):
            os.utime(path)
        return Clip(frames, **head)

    def put(self, key: str, clip: Clip) -> None:
        """Keep frames; if that fails, note why and go on without the cache."""
        if self.broken:
            return
        try:
            files.write(self._path(key), lambda draft: self._fill(draft, clip))
            self._clean()
        except OverflowError:
            return
        except OSError as error:
            self.broken = True
            self.note = f"decoded frames are not kept: cannot write into {self.folder}: {error.strerror}"

    def _fill(self, draft: Path, clip: Clip) -> None:
        """Write an entry; the frames are compressed into a file beside it, as memory holds them once already."""
        with TemporaryFile(dir=draft.parent) as body:
            packed(clip.frames, body)
            if body.tell() > self.budget:
                raise OverflowError
            body.seek(0)
            total = hashlib.file_digest(body, _sum).hexdigest()
            head = clip.facts | {"frames": len(clip.frames), "size": clip.frames.shape[1:3], "sum": total}
            body.seek(0)
            with draft.open("wb") as file:
                file.write(json.dumps(head).encode() + b"\n")
                shutil.copyfileobj(body, file)

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


def _sum(data: bytes = b"") -> Any:
    return hashlib.blake2b(data, digest_size=16)


def _strips(frames: np.ndarray) -> np.ndarray:
    """The same memory in pieces of up to half a megapixel, if the height divides so: FFV1 takes 150 bytes a pixel."""
    count, height, width, colours = frames.shape
    fits = (number for number in range(1, 65) if height % number == 0 and height // number * width <= HALF_MEGAPIXEL)
    number = next(fits, 1)
    return frames.reshape(count * number, height // number, width, colours)


def packed(frames: np.ndarray, into: IO[bytes]) -> None:
    """Compress frames without loss, to the end of a file."""
    import av

    strips = _strips(frames)
    height, width = strips.shape[1:3]
    with av.open(into, "w", format="nut") as container:
        stream: Any = container.add_stream("ffv1", rate=1, options={"g": "1", "context": "0", "coder": "1"})
        stream.width, stream.height, stream.pix_fmt = width, height, "bgr0"
        stream.codec_context.thread_count = 1
        for number, pixels in enumerate(strips):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24").reformat(format="bgr0")
            frame.pts, frame.time_base = number, Fraction(1)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    into.seek(0, os.SEEK_END)


def unpacked(data: bytes, place: np.ndarray) -> np.ndarray:
    """Fill a place with the frames that `packed` compressed.

    Raises
    ------
    ValueError
        If they are not as many.
    """
    import av

    count, strips = 0, _strips(place)
    with av.open(BytesIO(data), "r") as container:
        container.streams.video[0].codec_context.thread_count = 1
        for count, frame in enumerate(container.decode(video=0), 1):
            strips[count - 1] = frame.to_ndarray(format="rgb24")
    if count != len(strips):
        raise ValueError(f"{count} of {len(strips)} pieces of frames")
    return place


def key_of(path: Path, *settings: object) -> str:
    """Name frames by the video's whole content and how they are chosen: a moved file is found, a mended one is new."""
    return hashlib.sha256(repr((content_hash(path), *settings)).encode()).hexdigest()


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
