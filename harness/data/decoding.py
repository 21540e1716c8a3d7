"""Decodes videos in a process of its own, with a time-out for each file."""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import threading
from functools import cache
from pathlib import Path

import numpy as np

import winnow
from winnow.harness.data.decoders import Decoded, chosen
from winnow.reducers.core.errors import WinnowError

SECONDS = 300.0
ROOT = Path(winnow.__file__).parents[1]


class Decoder:
    """A process that decodes one file after the other, and is started anew when one is too much for it."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self.decoded = 0

    def decode(self, path: Path, frames: int, until: int | None) -> Decoded:
        """Decode some frames of a video.

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
            found = _ask(process, [chosen(), str(path), frames, until])
            self.decoded += 1
            return found
        except (OSError, EOFError, ValueError) as error:
            late = not timer.is_alive()
            self.stop()
            reason = f"no end after {seconds:g} s" if late else f"the decoder crashed, {error}"
            raise WinnowError(
                f"video {path} cannot be decoded ({reason}): download it again, or choose another $WINNOW_DECODER"
            ) from error
        finally:
            timer.cancel()

    def _start(self) -> subprocess.Popen[bytes]:
        if self.process is None or self.process.poll() is not None:
            paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
            self.process = subprocess.Popen(
                [sys.executable, "-m", "winnow.harness.data.decode_worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
            )
        return self.process

    def stop(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None


def _ask(process: subprocess.Popen[bytes], question: list[object]) -> Decoded:
    if process.stdin is None or process.stdout is None:
        raise OSError("it has no pipes")
    process.stdin.write(json.dumps(question).encode() + b"\n")
    process.stdin.flush()
    line = process.stdout.readline()
    if not line:
        raise EOFError("it ended without a word")
    head = json.loads(line)
    if "error" in head:
        raise WinnowError(
            f"video {question[1]} cannot be decoded ({head['error']}): it is truncated or no video; download it again"
        )
    data = process.stdout.read(head["size"])
    if len(data) != head["size"]:
        raise EOFError("it ended before the last frame")
    return np.frombuffer(bytearray(data), np.uint8).reshape(head["shape"]), head["rate"]


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


@cache
def decoder() -> Decoder:
    """The decoder of this process."""
    made = Decoder()
    atexit.register(made.stop)
    return made
