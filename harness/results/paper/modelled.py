"""FLOPs and prefill times as the papers model them: the schedule on the nominal prompt, by LLM-Viewer's roofline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from winnow.harness.config.cell import Cell
from winnow.harness.config.compose import compose
from winnow.harness.config.hydra_api import hydra
from winnow.harness.config.preset import PaperRow, Preset, Words
from winnow.harness.config.preset_cells import composed
from winnow.harness.config.preset_runs import merge, overrides
from winnow.harness.config.printed import facts
from winnow.harness.cost.hardware import WIDTHS, hardware
from winnow.harness.cost.llm_viewer import head_op, layer_ops

OLD = "v100"
"""LLM-Viewer of March 2024, behind PruMerge's columns, reads the LM head's weights at one byte."""


@dataclass(frozen=True)
class Modelled:
    """The modelled cost of one prefill, LLM alone, batch 1.

    Attributes
    ----------
    tflops, ms, gigabytes, stored : float
        Operations, roofline time, bytes moved, bytes of activations written; operations alone of a method's overhead.
    """

    tflops: float
    ms: float | None = None
    gigabytes: float | None = None
    stored: float | None = None


def cost_of_row(preset: Preset, row: PaperRow, smoke: bool, extra: Words, scheduled: bool) -> Modelled | None:
    """Model a row, as the paper schedules it or as our run executes it; None where only traces can tell.

    Parameters
    ----------
    preset : Preset
    row : PaperRow
    smoke : bool
    extra : tuple of str
        Overrides of the command line.
    scheduled : bool
        By the paper's convention (`Row.scheduled`), or by the row's own settings.
    """
    fixed = row.scheduled if isinstance(row.scheduled, int) else None
    if fixed is not None and (smoke or not scheduled):
        return None
    more = row.scheduled if scheduled and isinstance(row.scheduled, tuple) else ()
    cell = cell_of_row(preset, row, smoke, extra, more)
    if cell is None:
        return None
    if row.overhead:
        return _overhead(cell, row.overhead, scheduled)
    int4 = facts(preset, row, ["quantization"])["quantization"] == "INT4"
    return _model(cell, fixed, preset.machine, int4, row.fused)


def cell_of_row(preset: Preset, row: PaperRow, smoke: bool, extra: Words, more: Words = ()) -> Cell | None:
    """The cell of a row, whatever its task; None where it cannot be run."""
    if not row.set:
        return None
    words = merge([*overrides(preset, row, smoke, extra), *more])
    with hydra():
        found = composed(tuple(word for word in words if not word.startswith(("tasks=", "tasks."))))
    return compose(found, next(word.partition("=")[2] for word in words if word.startswith("reducer=")))


def _overhead(cell: Cell, parts: Words, papers: bool) -> Modelled:
    from winnow.harness.plan.build import build_method
    from winnow.harness.plan.nominal import nominal
    from winnow.harness.plan.overhead import overhead

    return Modelled(overhead(build_method(cell).reducer, nominal(cell.seen), parts, papers) / 1e12)


def _model(cell: Cell, visual: int | None, machine: str, int4: bool, fused: bool) -> Modelled:
    from winnow.harness.plan.build import build_method
    from winnow.harness.plan.nominal import nominal

    prompt = nominal(cell.seen)
    depth = prompt.shape.layers
    reducer = build_method(cell).reducer if visual is None else None
    plan: Sequence[int] = prompt.plan(reducer) if reducer else [visual or 0] * depth
    dtype = "int4" if int4 else "float16"
    width = WIDTHS[dtype]
    ops = [
        op
        for layer, (n, left) in enumerate(zip(plan, prompt.mlp(reducer, plan), strict=True))
        for op in layer_ops(prompt.shape.at(layer), n + prompt.text, prompt.mlp_add, width, fused, left + prompt.text)
    ]
    ops.append(head_op(prompt.shape, width, 1 if machine == OLD else None))
    return Modelled(
        sum(op.flops for op in ops) / 1e12 / (4 if int4 else 1),  # PruMerge divides the operations of FP16 by hand
        1e3 * hardware(machine).seconds(ops, dtype),
        sum(op.bytes for op in ops) / 1e9,
        sum(op.store for op in ops) / 1e9,
    )
