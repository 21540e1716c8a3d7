"""What a measurement leaves: a file with every round, named by all that can change a time."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch

from winnow.harness.bench.cells import BASELINE, Variant
from winnow.harness.bench.hardware import hardware
from winnow.harness.bench.measure import Measurement
from winnow.harness.bench.modelled import PROFILE, modelled
from winnow.harness.common.sources import fingerprint, modules_below
from winnow.harness.cost.hardware import Hardware
from winnow.harness.plan.identity import method_inputs, short
from winnow.harness.plan.nominal import nominal

LIBRARIES = ("torch", "transformers", "tokenizers", "av", "numpy")


def identity(found: Sequence[Variant], settings: Mapping[str, Any], device: torch.device) -> dict[str, Any]:
    """All that can change a time: model, prompt, methods, batch, attention, settings, hardware, versions, code."""
    cell = found[0].cell
    model = {name: value for name, value in asdict(cell.seen).items() if name not in ("name", "mlp_add", "device")}
    code = [
        *modules_below("winnow.models.engine"),
        *modules_below("winnow.harness.bench"),
        "winnow.models.loading.load",
    ]
    return {
        "model": model,
        "batch": cell.batch_size,
        "methods": {variant.name: method_inputs(variant.cell.method) for variant in found},
        "knobs": {variant.name: variant.built.knobs for variant in found if variant.built},
        "settings": {name: value for name, value in settings.items() if name not in ("minutes", "threads")},
        "hardware": hardware(device),
        "versions": {name: importlib.metadata.version(name) for name in LIBRARIES},
        "code": fingerprint([*code, f"winnow.models.families.{model['family']}"], follow=("winnow.models",)),
    }


def record(
    found: Sequence[Variant],
    rounds: Sequence[Mapping[str, tuple[dict[str, float], Measurement]]],
    settings: Mapping[str, Any],
    device: torch.device,
    machine: Hardware,
    layer_flops: float,
    env: dict[str, Any],
) -> dict[str, Any]:
    """Gather a file's content."""
    named = identity(found, settings, device)
    return {
        "id": short(named),
        "identity": named,
        "model": found[0].cell.model.name,
        "attn": found[0].cell.seen.attn,
        "baseline": BASELINE,
        "profile": PROFILE,
        "roofline": asdict(machine),
        "layer_flops": layer_flops,
        "env": env,
        "methods": {
            variant.name: _method(variant, [taken[variant.name] for taken in rounds], machine) for variant in found
        },
    }


def _method(
    variant: Variant, taken: Sequence[tuple[dict[str, float], Measurement]], machine: Hardware
) -> dict[str, Any]:
    """One method: what was measured in each round, and what the model of cost says of the same tokens."""
    last, reducer = taken[-1][1], variant.built.reducer if variant.built else None
    return {
        "tokens_per_layer": last.tokens,
        "kv_bytes": last.kv,
        "rounds": [_round(before, measured) for before, measured in taken],
        "modelled": asdict(modelled(nominal(variant.cell.seen), last.tokens, reducer, machine)),
    }


def _round(before: dict[str, float], measured: Measurement) -> dict[str, Any]:
    """Seconds of one round: `ttft` and its phases, `llm` (prefill with the method's own work) and `tpot`."""
    phases = before | measured.phases
    return {
        "phases": phases,
        "ttft": sum(before.values()) + measured.first,
        "llm": phases.get("prefill", 0.0) + phases.get("reducer", 0.0),
        "tpot": measured.step,
        "peak_bytes": measured.peak,
    }
