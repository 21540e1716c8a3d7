"""What a worker process does around its work: signals, exit code, and a line for each end."""

from __future__ import annotations

import sys

from winnow.harness.common import files
from winnow.harness.common.exits import STOPPED
from winnow.harness.common.process import settle
from winnow.harness.run.stop import Stop, StoppedError
from winnow.harness.sweep.cell_queue import CellQueue
from winnow.harness.sweep.manifest import Manifest


def work(manifest: Manifest, index: int, workers: int, stop: Stop, wait: bool, parts: int) -> int:
    """Be one worker; return its exit code."""
    settle()
    from winnow.harness.sweep.worker import Worker

    try:
        with files.writable(manifest.results):
            return Worker(CellQueue(manifest, index, workers, parts), stop, wait).run()
    except StoppedError as error:
        print(f"stopped: {error}; what was answered is kept", file=sys.stderr)
        return STOPPED
