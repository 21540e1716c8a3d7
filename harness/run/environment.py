"""Where a run happened: recorded with it, but no part of its identity; versions are those at the first look."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

PACKAGES = (
    "winnow-vlm", "torch", "torchvision", "transformers", "tokenizers", "lmms-eval", "datasets", "decord", "av",
    "numpy", "hydra-core", "omegaconf",
)  # fmt: skip


def describe(loaded: Any = None) -> dict[str, Any]:
    """Versions, machine and code state; with a loaded model also its device and weights, and what was set aside."""
    found: dict[str, Any] = {
        "versions": versions(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "host": platform.node(),
        "cpus": os.cpu_count(),
        "git": _git(),
        "log": os.environ.get("WINNOW_LOG"),
    }
    if loaded is not None:
        from winnow.models.engine.kernels import chosen

        model = loaded.model
        found["set_aside"] = dict(loaded.habits)
        found["device"] = str(model.device)
        found["probes"] = chosen(model.device, model.dtype)
        found["dtype"] = str(model.dtype).removeprefix("torch.")
        found["quantised"] = getattr(model, "quantization_method", None)
        found["weights_commit"] = getattr(model.config, "_commit_hash", None)
        if model.device.type == "cuda":
            import torch

            found["gpu"] = torch.cuda.get_device_name(model.device)
    return found


def versions() -> dict[str, str | None]:
    """Versions of the packages that answers depend on; None where one is not installed."""
    return {name: _version(name) for name in PACKAGES}


@cache
def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


@cache
def _git() -> str | None:
    """The commit of this checkout, marked where it was edited; None outside of one."""
    here = Path(__file__).resolve().parent
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40"],
            check=False,
            cwd=here,
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip() or None
