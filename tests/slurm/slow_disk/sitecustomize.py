"""On PYTHONPATH, makes every write that must reach the disk take a second: a sweep that outlasts a time limit."""

import os
import time

_fsync = os.fsync


def _slowly(handle: int) -> None:
    time.sleep(1)
    _fsync(handle)


os.fsync = _slowly
