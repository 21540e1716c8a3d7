"""The tables of ``winnow cost``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import groupby

from winnow.harness.common.console import Format, print_table
from winnow.harness.cost import llm_viewer, physical
from winnow.harness.cost.hardware import WIDTHS, Hardware
from winnow.harness.cost.memory import kept_bytes
from winnow.harness.plan.nominal import Nominal
from winnow.harness.plan.prefill import HEAD, LLM, Cost, Prefill, cost, memory, papers, whole
from winnow.reducers.core.base import Reducer

TextRow = dict[str, str]
LEFT = ("plan", "part", "layers")
TOTAL = "total"


class Plan:
    """What a method leaves to each layer of the nominal prompt, and what that costs in both profiles.

    Parameters
    ----------
    name : str
        As the tables call it.
    prompt : Nominal
        The prompt.
    reducer : Reducer or None
        The method; None: nothing is reduced.
    """

    def __init__(self, name: str, prompt: Nominal, reducer: Reducer | None = None) -> None:
        unreduced = [prompt.visual] * prompt.shape.layers
        self.name, self.prompt, self.reducer = name, prompt, reducer
        self.visual = prompt.plan(reducer) if reducer else unreduced

    @cached_property
    def profiles(self) -> dict[str, Prefill]:
        """The operators, by profile."""
        made = self.prompt, self.visual, self.reducer
        return {physical.NAME: whole(*made), llm_viewer.NAME: papers(*made)}

    def llm(self, profile: str, machine: Hardware) -> Cost:
        """Cost of the LLM and its head alone."""
        made = self.profiles[profile]
        return cost([*made.parts[LLM], *made.parts[HEAD]], machine, made.dtype)


def show(model: str, prompt: Nominal, plans: Sequence[Plan], machine: Hardware, form: Format) -> None:
    """Print cost by part, memory, and cost by layer.

    Parameters
    ----------
    model : str
        Its name.
    prompt : Nominal
        The prompt.
    plans : sequence of Plan
        The unreduced one first.
    machine : Hardware
        Whose roofline is taken.
    form : {"rich", "md", "csv"}
        How.
    """
    between = "\n" if form != "rich" else ""
    size = f"{prompt.span.frames} x {prompt.span.tokens_per_frame} visual + {prompt.text} other tokens"
    title = f"Prefill of {model}, {size}, modelled on {machine.name}"
    print_table(list(_by_part(plans, machine)), form, LEFT, title, wrap=("plan",), keys=LEFT)
    print(end=between)
    print_table(
        list(_in_memory(plans, machine)),
        form,
        LEFT,
        "Memory, and time per output token",
        wrap=("plan",),
        keys=("plan",),
    )
    print(end=between)
    print_table(
        list(_by_layer(plans[1:] or plans, machine)), form, LEFT, "One decoder layer", wrap=("plan",), keys=("plan",)
    )
    if form == "rich":
        print(
            f"{physical.NAME}: {prompt.dtype}, attn={prompt.attn}, text rows taken to be all text. {llm_viewer.NAME}: "
            "float16, eager, LLM and LM head only.\nGB moved is traffic, not footprint. Rooflines are lower bounds; "
            "nothing here is measured (docs/cost.md)."
        )
        unsure = ", ".join(machine.unverified)
        print(f"{machine.name}: unverified {unsure}" if unsure else "", end="\n" if unsure else "")


def _figures(profile: str, spent: Cost | None) -> TextRow:
    names = (f"{profile}: TFLOP", f"{profile}: ms", f"{profile}: GB moved")
    values = (spent.flops / 1e12, spent.seconds * 1e3, spent.bytes / 1e9) if spent else ()
    return dict(zip(names, (f"{value:.4g}" for value in values), strict=True)) if spent else dict.fromkeys(names, "")


def _by_part(plans: Sequence[Plan], machine: Hardware) -> Iterator[TextRow]:
    full = {name: made.total(machine) for name, made in plans[0].profiles.items()}
    for plan in plans:
        for part in [*plan.profiles[physical.NAME].parts, TOTAL]:
            row = {"plan": plan.name, "part": part}
            for profile, made in plan.profiles.items():
                known = part == TOTAL or part in made.parts
                spent = made.total(machine) if part == TOTAL else cost(made.parts.get(part, []), machine, made.dtype)
                row |= _figures(profile, spent if known else None)
                share = 100 * spent.flops / full[profile].flops
                row[f"{profile}: FLOPs %"] = f"{share:.1f}" if part == TOTAL else ""
            yield row


def _in_memory(plans: Sequence[Plan], machine: Hardware) -> Iterator[TextRow]:
    for plan in plans:
        found = memory(plan.prompt, plan.visual, machine)
        yield {
            "plan": plan.name,
            "visual tokens, mean %": f"{100 * sum(plan.visual) / len(plan.visual) / plan.prompt.visual:.1f}",
            "KV cache MB": f"{found.kv / 1e6:.4g}",
            "weights GB": f"{found.weights / 1e9:.4g}",
            "peak GB": f"{found.peak / 1e9:.4g}",
            f"{physical.NAME}: ms per output token": f"{found.step * 1e3:.4g}",
        }


def _by_layer(plans: Sequence[Plan], machine: Hardware) -> Iterator[TextRow]:
    """One row for each run of layers that process the same number of tokens."""
    for plan in plans:
        text, width = plan.prompt.text, WIDTHS[plan.prompt.dtype]
        shapes = [plan.prompt.shape.at(layer) for layer in range(plan.prompt.shape.layers)]
        passed = list(zip(plan.visual, plan.prompt.mlp(plan.reducer, plan.visual), shapes, strict=True))
        for (count, _, shape), group in groupby(range(len(passed)), key=passed.__getitem__):
            layers = list(group)
            row = {"plan": plan.name, "layers": str(layers[0]) if len(layers) == 1 else f"{layers[0]}-{layers[-1]}"}
            row |= {"tokens": str(count + text), "KV cache MB": f"{kept_bytes(shape, count + text, width) / 1e6:.3g}"}
            for profile, made in plan.profiles.items():
                row |= _figures(profile, cost(made.layers[layers[0]], machine, made.dtype))
            yield row
