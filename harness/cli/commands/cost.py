"""What ``winnow cost`` does: plans a method on a model's nominal prompt and prints what that costs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from winnow.harness.common.console import Format, print_table
from winnow.harness.config.cell import Cell
from winnow.harness.config.compose import REPLAYS
from winnow.harness.config.label import label
from winnow.harness.config.messages import one_line
from winnow.harness.config.overrides import cell_from
from winnow.harness.config.schema import BudgetConfig
from winnow.harness.cost import kv_bytes, llm_viewer, physical
from winnow.harness.cost.hardware import GROUP, Hardware, hardware
from winnow.harness.plan.build import Built, Goal, build_method, goal_of
from winnow.harness.plan.nominal import Nominal, nominal
from winnow.harness.results.tables.cost import Plan, show
from winnow.reducers.core.errors import WinnowError, choose

if TYPE_CHECKING:
    from winnow.reducers.core.base import Reducer

PROFILES = (physical.NAME, llm_viewer.NAME)
UNITS = {"mean": "", "flops": " TFLOP", "kv": " MB", "ms": " ms"}
TOKENS = ("budget.tokens=", "budget.scope=")
"""Words of a budget that say the same to `run.py`, and go on to the cell."""
SETTINGS = ("budget.scope=", "budget.tol=")
MEASURED = {"vas": "`winnow calibrate vas` finds its ratio on documents"}
RUN = "`winnow tables` prints what a run really left"
APPLY = {"same": "as scheduled", "next": "as executed"}
"""AIM's share of layer l holds at layer l in the paper's FLOPs, and from layer l+1 on in its code and here."""


@dataclass
class Budget(BudgetConfig):
    """A budget of the LLM's prefill: `flops` in TFLOP, `kv` in MB, `ms`; the rest is a run's."""

    kv: float | None = None
    ms: float | None = None


@dataclass
class Asked:
    """The words that run.py does not take, or in another unit."""

    hardware: str = "a100_40g"
    profile: str = physical.NAME
    budget: Budget = field(default_factory=Budget)


def run(words: Sequence[str], form: Format) -> None:
    """Print the tables.

    Parameters
    ----------
    words : sequence of str
        Overrides as `run.py` takes them, and ``hardware=``, ``hardware.*=``, ``profile=``, ``budget.*=``.
    form : {"rich", "md", "csv"}
        How.

    Raises
    ------
    WinnowError
        For words that are not known, budgets out of reach, and methods that no plan describes.
    """
    asked, machine, rest = split(words)
    cell = cell_from(rest)
    if cell.model.scale != "full":
        raise WinnowError(f"model.scale={cell.model.scale} has no cost worth a table: leave it out")
    prompt = nominal(cell.seen)
    show(cell.model.name, prompt, plans(cell, prompt, asked, machine), machine, form)


def publish(form: Format) -> None:
    """Print every cost cell of the papers beside ours."""
    from winnow.harness.results.paper.cost_cells import cells, rows

    found = list(cells())
    right = [cell for cell in found if not cell.why]
    worst = max(right, key=lambda cell: abs(cell.error))
    caption = (
        f"{len(found)} cells, {len(found) - len(right)} of them misprints. Ours follows from the parameters in the "
        f"profile {llm_viewer.NAME}, on an A100 40 GB in float16 where they say nothing else. The largest error of "
        f"the others is {100 * worst.error:+.2f} % ({worst.file} {worst.row}, {worst.metric} {worst.printed})."
    )
    left = ("table", "name", "quantity", "parameters", "basis", "misprint")
    print_table(rows(found), form, left, "Published cost, beside ours", caption, wrap=left)


def split(words: Sequence[str]) -> tuple[Asked, Hardware, list[str]]:
    """Take out the words that only this command knows.

    Raises
    ------
    WinnowError
        For unknown keys and values, and for a ratio beside a budget.
    """
    mine = [word for word in words if word.partition("=")[0] in ("hardware", "profile") or word.startswith("budget.")]
    machine = [word for word in words if word.startswith(f"{GROUP}.")]
    try:
        merged = OmegaConf.merge(OmegaConf.structured(Asked), OmegaConf.from_dotlist(mine))
        asked: Asked = OmegaConf.to_object(merged)  # type: ignore[assignment]
    except OmegaConfBaseException as error:
        raise WinnowError(one_line(error)) from error
    if asked.profile not in PROFILES:
        raise WinnowError(f"profile={asked.profile} is not known: {choose(asked.profile, PROFILES, ' | ')}")
    rest = [word for word in words if (word not in mine and word not in machine) or word.startswith(TOKENS)]
    given = [word for word in mine if word.startswith("budget.") and not word.startswith(SETTINGS)]
    given += [word for word in rest if word.startswith("ratio=")]
    if any(word.startswith("budget.") for word in given) and len(given) > 1:
        raise WinnowError(f"{' and '.join(given)} exclude each other: give only one of them")
    return asked, hardware(asked.hardware, [word.removeprefix(f"{GROUP}.") for word in machine]), rest


def plans(cell: Cell, prompt: Nominal, asked: Asked, machine: Hardware) -> list[Plan]:
    """Plan the unreduced prompt and the method, which AIM does in two conventions."""
    unreduced = Plan("unreduced", prompt)
    cell = replace(cell, budget=replace(cell.budget, tol=asked.budget.tol))
    goal = _goal(prompt, asked, machine) or goal_of(cell, prompt)
    if cell.method.name == "none" and (goal or asked.budget.tokens):
        raise WinnowError("reducer=none has no knob that a budget could solve: choose a method, or leave budget.* out")
    if cell.method.name == "none":
        return [unreduced]
    if cell.method.target in REPLAYS:
        raise WinnowError("reducer.like replays a run, whose result holds what it cost: `winnow tables` prints it")
    built = build_method(cell, runs=False, goal=goal)
    _say(label(cell), built, goal, asked.profile)
    return [unreduced, *(Plan(f"{label(cell)}{says}", prompt, made) for says, made in _conventions(built.reducer))]


def _goal(prompt: Nominal, asked: Asked, machine: Hardware) -> Goal | None:
    kind, target = next(((kind, getattr(asked.budget, kind)) for kind in UNITS if getattr(asked.budget, kind)), ("", 0))
    if not kind:
        return None

    def measure(reducer: Reducer) -> float:
        visual = prompt.plan(reducer)
        if kind == "mean":
            return sum(visual) / len(visual) / prompt.visual
        if kind == "kv":
            return kv_bytes(prompt.shape, [n + prompt.text for n in visual]) / 1e6
        spent = Plan("", prompt, reducer).llm(asked.profile, machine)
        return spent.flops / 1e12 if kind == "flops" else spent.seconds * 1e3

    return Goal(target, measure, UNITS[kind].strip())


def _say(name: str, built: Built, goal: Goal | None, profile: str) -> None:
    """The resolved knobs, and what a budget came to; beside the tables, so that these can be read by programs."""
    lines = [f"{name}: " + " ".join(f"{key}={value}" for key, value in built.knobs.items() if value is not None)]
    if goal:
        unit, what = f" {goal.unit}" if goal.unit else "", {"TFLOP": f" ({profile})", "ms": f" ({profile})"}
        found = f"nearest {built.planned:.4g}{unit}{what.get(goal.unit, '')} at ratio={built.ratio:g}"
        lines.append(f"asked for {goal.target:g}{unit}, {found}")
    if built.reducer.adaptive:
        lines.append(
            "it looks at the content, so that this plan is an estimate: " + MEASURED.get(built.reducer.name, RUN)
        )
    print(*lines, sep="\n", file=sys.stderr)


def _conventions(reducer: Any) -> list[tuple[str, Reducer]]:
    """AIM twice: as its paper counts it, and as it is executed; other methods once."""
    inner = getattr(reducer, "llm", None)
    if hasattr(inner, "apply"):
        return [(says, replace(reducer, llm=made)) for says, made in _conventions(inner)]
    if not hasattr(reducer, "apply"):
        return [("", reducer)]
    return [(f", {says} (apply={at})", replace(reducer, apply=at)) for at, says in APPLY.items()]
