"""What ``winnow calibrate METHOD`` does: composes the cell, searches, prints the override to use."""

from __future__ import annotations

from collections.abc import Sequence

from winnow.harness.common.progress import progress
from winnow.harness.config.cell import Cell
from winnow.harness.config.overrides import cell_from
from winnow.reducers.core.errors import WinnowError

SPLIT = "tasks=pico_video_dev"
"""Where nothing else is said: never a split that results are reported on."""


def compose_cell(method: str, overrides: Sequence[str], documents: int) -> Cell:
    """Compose the cell that is calibrated, from overrides as `run.py` takes them.

    Raises
    ------
    WinnowError
        For unknown keys and values.
    """
    for word in overrides:
        if "=" not in word or word.startswith(("reducer=", "limit=")):
            raise WinnowError(f"'{word}' is not allowed here: give name=value; the method and --documents stand apart")
    tasks = [] if any(word.startswith("tasks=") for word in overrides) else [SPLIT]
    return cell_from([f"reducer={method}", *tasks, *overrides, f"limit={documents}"])


def calibrate_vtw(overrides: Sequence[str], eta: float, first: int, documents: int) -> None:
    """Print KL(p_K || p_full) for every layer K from `first` on, and the first one within `eta`."""
    from winnow.harness.bench.calibrate import divergences, first_within, gather
    from winnow.harness.plan.nominal import llm_shape
    from winnow.reducers.vtw import VTW

    if not first >= 1:
        raise WinnowError(f"--first {first} is not allowed: choose 1 or more")
    cell = compose_cell("vtw", overrides, documents)
    depth = llm_shape(cell.model).layers
    layers = range(min(first, depth - 1), depth)
    loaded, found = gather(cell)
    with progress("withdrawing", len(layers)) as tick:
        kl = divergences(loaded, found, VTW(positions=cell.method.args["positions"]), layers, tick)
    print(f"{'k':>4}  KL(p_k || p_full)")
    for layer, value in kl.items():
        print(f"{layer:>4}  {value:.3g}")
    print(f"reducer=vtw schedule.k={first_within(kl, eta)}")


def calibrate_vas(overrides: Sequence[str], mean: float, knob: str, tol: float, documents: int) -> None:
    """Print the `ratio` or `reducer.r` whose mean retention is the wanted one."""
    from winnow.harness.bench.calibrate import bisect, gather, retention, with_kept
    from winnow.harness.plan.build import build_method
    from winnow.reducers.vas import VAS

    if knob not in ("ratio", "r") or not 0 < mean < 1:
        raise WinnowError(f"--knob {knob} --mean {mean} is not allowed: choose --knob ratio | r, and 0 < mean < 1")
    cell = compose_cell("vas", overrides, documents)
    method = build_method(cell).reducer
    assert isinstance(method, VAS)
    loaded, found = gather(cell)
    with progress("bisecting") as tick:

        def measure(kept: float) -> float:
            tick(1)
            return retention(loaded, found, with_kept(method, knob, kept))

        kept, achieved = bisect(measure, mean, tol)
    chosen = f"ratio={kept:.4f}" if knob == "ratio" else f"reducer.r={1 - kept:.4f}"
    print(f"mean retention {achieved:.4f} of {mean:g} asked for")
    print(f"reducer=vas {chosen}")


def calibrate_cpu() -> None:
    """Print the words that stand for this machine's processor behind ``winnow cost``, on torch's threads."""
    import torch

    from winnow.harness.bench.clock import Clock
    from winnow.harness.bench.modelled import machine
    from winnow.harness.cost.hardware import UNITS

    cpu = torch.device("cpu")
    found = {dtype: machine(cpu, dtype, Clock(cpu)) for dtype in ("float32", "bfloat16")}
    peaks = [f"hardware.peak.{UNITS[dtype]}={made.flops(dtype) / 1e12:.3g}" for dtype, made in found.items()]
    bandwidth = max(made.bandwidth for made in found.values())
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads: the best of four matrix products, and copies")
    print(f"hardware=cpu hardware.bandwidth={bandwidth:.3g}", *peaks)
