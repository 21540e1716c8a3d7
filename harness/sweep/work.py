"""What a worker process does around its work: signals, exit code, and a line for each end."""

from __future__ import annotations

import os
import sys

from harness import files
from harness.exits import STOPPED
from harness.run.stop import Stop, StoppedError
from harness.sweep.manifest import Manifest
from harness.sweep.share import Share


def work(manifest: Manifest, index: int, workers: int, stop: Stop, wait: bool, parts: int) -> int:
    """Be one worker; return its exit code."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that spin make a shared machine four times slower
    from harness.sweep.worker import Worker

    try:
        with files.writable(manifest.results):
            return Worker(Share(manifest, index, workers, parts), stop, wait).run()
    except StoppedError as error:
        print(f"stopped: {error}; what was answered is kept", file=sys.stderr)
        return STOPPED
