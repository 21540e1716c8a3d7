"""Statistics over whole attention matrices by Triton kernels; `winnow.reducers.core.probes` is their portable form."""

from __future__ import annotations

import importlib
from functools import cache
from types import ModuleType

import torch

HALF = (torch.bfloat16, torch.float16)


def kernels(device: torch.device, dtype: torch.dtype) -> ModuleType | None:
    """Choose how statistics are computed.

    Returns
    -------
    module or None
        `kernels.sums` for 16-bit queries on a CUDA device that multiplies them on tensor cores (compute capability
        8.0 or higher), where Triton is installed; None: the portable form.
    """
    return _module(device) if device.type == "cuda" and dtype in HALF else None


def chosen(device: torch.device, dtype: torch.dtype) -> str:
    """Name the choice, for records: ``triton`` or ``torch``."""
    return "torch" if kernels(device, dtype) is None else "triton"


@cache
def _module(device: torch.device) -> ModuleType | None:
    if torch.cuda.get_device_capability(device) < (8, 0):
        return None
    try:
        importlib.import_module("triton")
    except ImportError:
        return None
    return importlib.import_module("winnow.models.engine.kernels.sums")
