"""Against controls that need no method: random, uniform, pooling, less input, no picture at all."""

from __future__ import annotations

from collections.abc import Sequence

from winnow.harness.audit.card import Check, Judgement, Line, Measured, line
from winnow.harness.audit.contrast import contrast, names
from winnow.harness.audit.runs import Ran, Runs

CONTROLS = {
    "random": "random dropping",
    "uniform": "uniform sampling",
    "pooling": "pooling",
    "downsample": "less input",
    "blind": "no picture at all",
}


def _measure(runs: Runs) -> Measured:
    method, lines = runs["method"], []
    for role, what in CONTROLS.items():
        if role not in runs:
            continue
        for name in names(method):
            found = contrast(method, runs[role], name)
            if found is not None:
                lines.append(line(what, found.gap, n=found.n, on=name, note=f"at {_spent(runs[role], method)}"))
    return Measured(lines)


def _spent(control: Ran, method: Ran) -> str:
    """The FLOPs of a control beside the method's: the one scale on which less input can be compared, too."""
    ours, theirs = method.result["cost"], control.result["cost"]
    return f"{theirs['tflops'] / ours['tflops']:.2f} x its FLOPs" if ours and theirs else "unknown cost"


def _judge(lines: Sequence[Line]) -> Judgement:
    if not lines:
        return "open", "no control shares a figure with it"
    lost = [one for one in lines if one.below]
    even = [one for one in lines if not one.above and not one.below]
    if lost:
        return "finding", f"worse than {_listed(lost)}"
    if even:
        return "finding", f"cannot be told from {_listed(even)}"
    return "sound", f"better than each of {len({one.what for one in lines})} controls in every figure"


def _listed(lines: Sequence[Line]) -> str:
    return ", ".join(f"{one.what} ({one.on}: {one.value:+.1f})" for one in lines)


CHECK = Check(
    "nothing",
    "Against nothing",
    "a difference to a control whose interval holds 0, or lies below it",
    ("random",),
    ("uniform", "pooling", "downsample", "blind"),
    _measure,
    _judge,
)
