"""Memory of decoding: the sum of what processes hold, shared pages split among them, above the same when idle."""

from __future__ import annotations

import os
import shutil
import threading
import time
from pathlib import Path

from winnow.harness.data.pool import Pool


def held(processes: list[int]) -> int:
    """Bytes of some processes (PSS)."""
    texts = (Path(f"/proc/{number}/smaps_rollup").read_text() for number in processes)
    return sum(int(line.split()[1]) for text in texts for line in text.splitlines() if line.startswith("Pss:")) * 1024


def most_above_idle(small: Path, large: Path, frames: int) -> int:
    """Bytes that some frames of a large video take at most while they are decoded, kept on disk and handed over."""
    cache, pool = Path(os.environ["WINNOW_CACHE"]), Pool(1)
    pool.decode(small, 2, None)  # libraries are loaded now
    process = pool.decoders[0].process
    assert process is not None
    processes, most, done = [os.getpid(), process.pid], 0, threading.Event()
    idle = held(processes)

    def watch() -> None:
        nonlocal most
        while not done.is_set():
            most = max(most, held(processes))
            time.sleep(0.01)

    watcher = threading.Thread(target=watch)
    watcher.start()
    clip = pool.decode(large, frames, None)
    done.set()
    watcher.join()
    assert len(clip.frames) == frames
    pool.close()
    shutil.rmtree(cache, ignore_errors=True)
    return most - idle
