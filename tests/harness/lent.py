"""Decoders whose processes go from one run of this process to the next: starting one takes as long as a small run."""

import os
import socket
import subprocess
from pathlib import Path
from typing import ClassVar

from winnow.harness.data.decoding import Decoder
from winnow.harness.data.video.clip import Clip


class Lent(Decoder):
    """Ends as any decoder, but a process that waits for its next file is kept for the next one."""

    waiting: ClassVar[list[tuple[int, subprocess.Popen[bytes], socket.socket]]] = []
    """Whose child it is, as forked workers inherit this list."""

    def __init__(self) -> None:
        super().__init__()
        self.busy = False

    def decode(self, path: Path, frames: int, until: int | None, accept: bool = False) -> Clip:
        self.busy = True
        clip = super().decode(path, frames, until, accept)
        self.busy = False  # after an error it is not known to wait
        return clip

    def _start(self) -> subprocess.Popen[bytes]:
        with self._lock:
            if self.process is None and not self._ended and self.waiting and self.waiting[-1][0] == os.getpid():
                _, self.process, self._handles = self.waiting.pop()
        return super()._start()

    def end(self) -> None:
        with self._lock:
            self._ended = True
            if self.process and self._handles and not self.busy:
                self.waiting.append((os.getpid(), self.process, self._handles))
                self.process = self._handles = None
        super().end()
