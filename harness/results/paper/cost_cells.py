"""Every FLOPs, prefill-time and GB cell that the papers print, beside what the papers' own convention gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from winnow.harness.config.printed import read
from winnow.harness.cost import llm_viewer
from winnow.harness.cost.hardware import WIDTHS, hardware
from winnow.harness.cost.op import Op
from winnow.harness.cost.shape import LLMShape
from winnow.harness.plan.overhead import ranking_flops
from winnow.reducers.aim_merge import AIMMerge
from winnow.reducers.core.layout import Grid, Width
from winnow.reducers.core.site import Site

DATA = Path(__file__).with_suffix(".yaml")
METRICS = ("FLOPs", "Prefill Time", "Total Memory", "Storing Activation")
USUAL = {"machine": "a100_40g", "dtype": "float16"}
DESCRIBED = (*USUAL, "fused", "head_bytes", "divide")
Case = Mapping[str, Any]


@dataclass(frozen=True)
class CostCell:
    """One printed cell and ours.

    Attributes
    ----------
    file, row : str
        Where it stands in ``results/published``.
    label, metric, unit : str
        Its row's and its column's name.
    printed : str
        As printed.
    ours : float
        What the row's stated parameters give.
    parameters : str
        They.
    basis : str
        ``repo`` or ``fit``, see the YAML.
    why : str
        Why the printed number is wrong; empty where it is not.
    slip : float or None
        What the wrong parameters give, where some explain the printed number.
    """

    file: str
    row: str
    label: str
    metric: str
    unit: str
    printed: str
    ours: float
    parameters: str
    basis: str
    why: str = ""
    slip: float | None = None

    @property
    def error(self) -> float:
        """Of ours, relative to the printed number."""
        return self.ours / float(self.printed) - 1

    @property
    def rounds(self) -> bool:
        """Whether ours rounds to the printed digits, trailing zeros aside."""
        text = self.printed.rstrip("0") if "." in self.printed else self.printed
        digits = len(text.partition(".")[2])
        return abs(self.ours - float(text)) <= 0.5 * 10**-digits + 1e-9


def cells() -> Iterator[CostCell]:
    """All of them, in the order of the YAML."""
    data = yaml.safe_load(DATA.read_text(encoding="utf-8"))
    for case in data["cases"]:
        yield from _case(USUAL | {"basis": "repo"} | case, data["shapes"])
    for case in data["averages"]:
        yield from _average(case)


def _case(case: Case, shapes: Mapping[str, Any]) -> Iterator[CostCell]:
    ours, slip = _figures(case, shapes), {}
    if "slip" in case:
        slip = _figures({**case, **case["slip"]}, shapes)
    for file, row, line in _lines(case):
        metric = line["metric"]
        if metric in METRICS:
            wrong = "why" in case and metric in case.get("wrong", METRICS)
            scale = 1e3 if line["unit"] == "GB" and metric == "FLOPs" else 1
            yield CostCell(
                file, row, line["row_label"], metric, line["unit"], line["value"], ours[metric] * scale,
                _describe(case), case["basis"], case["why"] if wrong else "",
                slip[metric] * scale if wrong and slip else None,
            )  # fmt: skip


def _average(case: Case) -> Iterator[CostCell]:
    lines = list(_lines(case))
    parts = [float(line["value"]) for name in case["of"] for _, _, line in lines if line["metric"] == name]
    for file, row, line in lines:
        if line["metric"] == case["metric"]:
            words = f"mean({', '.join(f'{part:g}' for part in parts)})"
            mean = sum(parts) / len(parts)
            yield CostCell(
                file, row, line["row_label"], line["metric"], line["unit"], line["value"], mean, words, "", case["why"]
            )


def _lines(case: Case) -> Iterator[tuple[str, str, dict[str, str]]]:
    for file, rows in case["cells"].items():
        for line in read(file):
            if int(line["row"]) in rows:
                yield file, line["row"], line


def _figures(case: Case, shapes: Mapping[str, Any]) -> dict[str, float]:
    """TFLOP, ms and GB of a case."""
    listed = shapes[case["llm"]]
    shape = LLMShape.from_arch(listed)
    if "merge" in case or "prune" in case:
        return {"FLOPs": (_merging(case, shape) + _pruning(case, shape)) / 1e12}
    dtype, width = case["dtype"], WIDTHS[case["dtype"]]
    ops: list[Op] = []
    for n in tokens(case, shape.layers):
        ops += llm_viewer.layer_ops(shape, n, listed["mlp_add"], width, bool(case.get("fused")))
    ops.append(llm_viewer.head_op(shape, width, case.get("head_bytes")))
    return {
        "FLOPs": sum(op.flops for op in ops) / 1e12 / case.get("divide", 1),
        "Prefill Time": 1e3 * hardware(case["machine"]).seconds(ops, dtype),
        "Total Memory": sum(op.bytes for op in ops) / 1e9,
        "Storing Activation": sum(op.store for op in ops) / 1e9,
    }


def tokens(case: Case, depth: int) -> list[int]:
    """Tokens of each layer, as the papers' calculator takes them: AIM's layer l1 already has the reduced count."""
    stages = case["visual"] if isinstance(case["visual"], dict) else {0: case["visual"]}
    visual = [stages[max(first for first in stages if first <= layer)] for layer in range(depth)]
    if "l1" not in case:
        return [n + case["text"] for n in visual]
    slope = case.get("slope", 1 / (case["l2"] - case["l1"]))
    shares = (max(0.0, 1 - max(0, layer - case["l1"] + 1) * slope) for layer in range(depth))
    return [int(share * n + case["text"]) for share, n in zip(shares, visual, strict=True)]


def _merging(case: Case, shape: LLMShape) -> float:
    if "merge" not in case:
        return 0.0
    grid = Grid(case["merge"]["frames"], case["merge"]["tokens"])
    return AIMMerge(ratio=0.25).work(
        Site.entrance(shape.layers), grid, grid.tokens, Width(shape.hidden, shape.head_dim)
    )


def _pruning(case: Case, shape: LLMShape) -> float:
    if "prune" not in case:
        return 0.0
    first, last = case["prune"]["l1"], case["prune"]["l2"]
    lengths = tokens({**case, "l1": first + 1, "l2": last + 1}, shape.layers)[first:last]
    return ranking_flops(shape.heads, lengths)


def _describe(case: Case) -> str:
    words = [case["llm"]]
    if "visual" in case:
        stages = case["visual"] if isinstance(case["visual"], dict) else {0: case["visual"]}
        visual = ", ".join(f"{n} from layer {at}" if at else str(n) for at, n in stages.items())
        words.append(f"{visual} visual + {case['text']} others")
    for group in (case, case.get("prune", {})):
        words += [f"{name}={group[name]}" for name in ("l1", "l2", "slope") if name in group]
    if "merge" in case:
        words.append(f"merging {case['merge']['frames']} x {case['merge']['tokens']}")
    else:
        words += [f"{name}={case[name]}" for name in DESCRIBED if name in case and case[name] != USUAL.get(name)]
    return ", ".join(words)


def rows(found: Sequence[CostCell]) -> list[dict[str, str]]:
    """Column -> text."""
    return [
        {
            "table": cell.file,
            "row": cell.row,
            "name": cell.label,
            "quantity": f"{cell.metric} {cell.unit}",
            "published": cell.printed,
            "ours": f"{cell.ours:.5g}",
            "error %": f"{100 * cell.error:+.2f}",
            "parameters": cell.parameters,
            "basis": cell.basis,
            "misprint": _misprint(cell),
        }
        for cell in found
    ]


def _misprint(cell: CostCell) -> str:
    if not cell.why:
        return ""
    gives = f": that gives {cell.slip:.5g} ({100 * (cell.slip / float(cell.printed) - 1):+.2f} %)" if cell.slip else ""
    return cell.why + gives
