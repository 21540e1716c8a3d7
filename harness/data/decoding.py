"""Decodes videos in a process of its own, with a time-out for each file."""

from __future__ import annotations

import atexit
import json
import mmap
import os
import socket
import subprocess
import sys
import threading
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import winnow
from winnow.harness.data.decoders import chosen
from winnow.harness.data.framecache import current
from winnow.harness.data.video.clip import Clip
from winnow.reducers.core.errors import WinnowError

SECONDS = 300.0
ROOT = Path(winnow.__file__).parents[1]


class Decoder:
    """A process that decodes one file after the other, and is started anew when one is too much for it."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self.decoded = self.kept = 0
        self._handles: socket.socket | None = None
        self._lock, self._ended = threading.Lock(), False

    def decode(self, path: Path, frames: int, until: int | None, accept: bool = False) -> Clip:
        """Decode some frames of a video, or find them decoded on the disk; the memory is that of the process.

        Raises
        ------
        WinnowError
            Names the file and what happened to it: an error, no end, or a crash.
        """
        seconds = patience()
        process = self._start()
        timer = threading.Timer(seconds, process.kill)
        timer.start()
        try:
            head = self._ask(process, [chosen(), str(path), frames, until, accept, *_cache()])
            kept = head.pop("kept")
            _say(head.pop("note"))
            found = Clip(self._frames(head.pop("shape")), **head)
        except (OSError, EOFError, ValueError) as error:
            late = not timer.is_alive()
            self.stop()
            reason = f"no end after {seconds:g} s" if late else f"the decoder crashed, {error}"
            raise WinnowError(
                f"video {path} cannot be decoded ({reason}): download it again, or choose another $WINNOW_DECODER"
            ) from error
        finally:
            timer.cancel()
        self.kept, self.decoded = self.kept + kept, self.decoded + (not kept)
        return found

    def _ask(self, process: subprocess.Popen[bytes], question: list[object]) -> dict[str, Any]:
        if process.stdin is None or process.stdout is None:
            raise OSError("it has no pipes")
        process.stdin.write(json.dumps(question).encode() + b"\n")
        process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            raise EOFError("it ended without a word")
        head: dict[str, Any] = json.loads(line)
        if "error" in head:
            raise WinnowError(head["error"])
        return head

    def _frames(self, shape: list[int]) -> np.ndarray:
        """Map the memory that the process has filled."""
        if self._handles is None:
            raise EOFError("it has no socket")
        _, (handle, *_), _, _ = socket.recv_fds(self._handles, 1, 1)
        try:
            return np.frombuffer(mmap.mmap(handle, 0), np.uint8).reshape(shape)
        finally:
            os.close(handle)

    def _start(self) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._ended:
                raise WinnowError("the run ends")
            if self.process is None or self.process.poll() is not None:
                paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
                self._handles, theirs = socket.socketpair()
                with theirs:
                    self.process = subprocess.Popen(
                        [sys.executable, "-m", "winnow.harness.data.decode_worker", str(theirs.fileno())],
                        stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE,
                        stderr=subprocess.DEVNULL,
                        pass_fds=[theirs.fileno()],
                        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
                    )
            return self.process

    def end(self) -> None:
        """End the process for good."""
        with self._lock:
            self._ended = True
        self.stop()

    def stop(self) -> None:
        """End the process; the next file gets another one."""
        with self._lock:
            process, self.process = self.process, None
            handles, self._handles = self._handles, None
        if process is not None:
            process.kill()
            process.communicate()
        if handles is not None:
            handles.close()


def patience() -> float:
    """Seconds that a file may take.

    Raises
    ------
    WinnowError
        If ``$WINNOW_DECODE_SECONDS`` is no such number.
    """
    text = os.environ.get("WINNOW_DECODE_SECONDS") or str(SECONDS)
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        raise WinnowError(f"WINNOW_DECODE_SECONDS={text} is not allowed: give seconds, more than 0")
    return seconds


def _cache() -> tuple[str, str]:
    """Where decoded frames are kept, and how many gigabytes of them."""
    held = current()
    return str(held.folder.parent), repr(held.budget / 1e9)


@cache
def _say(note: str) -> None:
    if note:
        print(note, file=sys.stderr)


@cache
def decoder() -> Decoder:
    """The decoder of this process."""
    made = Decoder()
    atexit.register(made.stop)
    return made
