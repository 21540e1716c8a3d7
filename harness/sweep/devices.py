"""What each worker on this machine gets: GPUs where there are any, and its share of the cores."""

from __future__ import annotations

import os

from winnow.reducers.core.errors import WinnowError


def threads(workers: int) -> int:
    """Threads of each worker: together as many as there are cores, since more wait for each other at every product."""
    return max(1, len(os.sched_getaffinity(0)) // workers)


def devices(workers: int, gpus: int) -> list[str | None]:
    """Which GPUs each worker sees, as CUDA_VISIBLE_DEVICES has it; None: it sees what there is.

    Raises
    ------
    WinnowError
        If a worker would need more GPUs than there are.
    """
    there = visible_gpus()
    if not there:
        return [None] * workers
    if not 1 <= gpus <= len(there):
        raise WinnowError(f"--gpus {gpus} is not allowed: choose 1 to {len(there)}, as there are so many GPUs")
    shares = [there[start : start + gpus] for start in range(0, len(there) - gpus + 1, gpus)]
    return [",".join(shares[index % len(shares)]) for index in range(workers)]


def visible_gpus() -> list[str]:
    """The GPUs that this process may use."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name for name in named.split(",") if name]
    import torch

    return [str(index) for index in range(torch.cuda.device_count())]
