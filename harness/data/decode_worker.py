"""The process that decodes: ``python -m winnow.harness.data.decode_worker FD``, a question a line on standard input.

A library that hangs or crashes on a file takes this process with it, not the run. Frames go into memory that has no
name; its handle is sent through the socket FD, so that the run sees the same memory, and a kill leaves nothing behind.
"""

from __future__ import annotations

import json
import mmap
import os
import signal
import socket
import sys
from pathlib import Path

import numpy as np

from winnow.harness.common.sources import fingerprint, modules_below
from winnow.harness.data.decoders import read
from winnow.harness.data.framecache import current, key_of
from winnow.harness.data.video.clip import Clip
from winnow.reducers.core.errors import WinnowError


class Shared:
    """Memory without a name, made anew when frames of another size come."""

    def __init__(self) -> None:
        self.handle = -1

    def allocate(self, shape: tuple[int, ...]) -> np.ndarray:
        """Make the place of some frames."""
        self.close()
        self.handle = os.memfd_create("winnow-frames")
        os.ftruncate(self.handle, int(np.prod(shape)))
        return np.frombuffer(mmap.mmap(self.handle, int(np.prod(shape))), np.uint8).reshape(shape)

    def close(self) -> None:
        """Give it up; whoever was sent its handle keeps it."""
        if self.handle >= 0:
            os.close(self.handle)
        self.handle = -1


def sample(place: Shared, name: str, path: Path, frames: int, until: int | None, accept: bool) -> tuple[Clip, bool]:
    """Find frames in the cache, or decode and keep them; say whether they were found."""
    cache = current()
    if cache.broken:
        return read(path, frames, until, name, accept, place.allocate), False
    key = key_of(path, name, frames, until, fingerprint(modules_below("winnow.harness.data.video"), follow=()))
    found = cache.get(key, place.allocate)
    if found is not None and (accept or not found.damage):
        return found, True
    made = read(path, frames, until, name, accept, place.allocate)
    cache.put(key, made)
    return made, False


def main() -> None:
    """Answer each line with a line: what the frames are, whose memory goes through the socket; or the error."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the run decides when to stop
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not get between the answers
    handles = socket.socket(fileno=int(sys.argv[1]))
    place = Shared()
    for line in sys.stdin:
        name, path, frames, until, accept, folder, gigabytes = json.loads(line)
        os.environ |= {"WINNOW_CACHE": folder, "WINNOW_FRAMES_GB": gigabytes}
        head: dict[str, object]
        try:
            clip, kept = sample(place, name, Path(path), frames, until, accept)
            head = clip.facts | {"shape": clip.frames.shape, "kept": kept, "note": current().note}
            del clip
        except WinnowError as error:
            head = {"error": str(error)}
        except Exception as error:  # every library raises its own classes
            text = str(error).strip().splitlines()
            reason = f"{type(error).__name__}: {text[0] if text else ''}"[:300]
            head = {"error": f"video {path} cannot be decoded ({reason}): download it again"}
        out.write(json.dumps(head).encode() + b"\n")
        out.flush()
        if "error" not in head:
            socket.send_fds(handles, [b"f"], [place.handle])
        place.close()


if __name__ == "__main__":
    main()
