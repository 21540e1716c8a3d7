"""What a time was measured on."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any

import torch

CPUINFO = Path("/proc/cpuinfo")
QUERY = "driver_version,clocks.sm,clocks.max.sm,clocks.mem,power.limit,temperature.gpu,utilization.gpu"


def hardware(device: torch.device) -> dict[str, Any]:
    """What names the hardware: part of a measurement's identity."""
    if device.type == "cuda":
        found = torch.cuda.get_device_properties(device)
        return {"device": found.name, "memory": found.total_memory}
    return {"device": _cpuinfo("model name") or platform.machine(), "threads": torch.get_num_threads()}


def clocks(device: torch.device) -> dict[str, Any]:
    """How fast it runs at this moment, and how busy it is: recorded before and after."""
    now: dict[str, Any] = {"load": os.getloadavg()[0], "cpu_mhz": _cpuinfo("cpu MHz")}
    tool = shutil.which("nvidia-smi")
    if device.type == "cuda" and tool:
        command = [tool, f"--query-gpu={QUERY}", "--format=csv,noheader", f"--id={device.index or 0}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
        now |= dict(zip(QUERY.split(","), done.stdout.strip().split(", "), strict=False))
    return now


def kernels() -> dict[str, bool]:
    """Which kernels sdpa may choose from on CUDA."""
    enabled = torch.backends.cuda
    return {
        "flash": enabled.flash_sdp_enabled(),
        "mem_efficient": enabled.mem_efficient_sdp_enabled(),
        "cudnn": enabled.cudnn_sdp_enabled(),
        "math": enabled.math_sdp_enabled(),
    }


def _cpuinfo(field: str) -> str | None:
    for line in CPUINFO.read_text().splitlines() if CPUINFO.exists() else ():
        name, _, value = line.partition(":")
        if name.strip() == field:
            return value.strip()
    return None
