"""Prints a measurement: seconds as measured, then ratios to the unreduced model beside what the cost model says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from winnow.harness.bench.clock import PHASES, REDUCER
from winnow.harness.common.console import Format, print_table
from winnow.harness.score.stats import median_interval

MEASURED, MODELLED = "measured", "modelled"
Table = list[dict[str, str]]


def times(made: dict[str, Any]) -> Table:
    """One row per method: medians over rounds in ms, of the TTFT with its quartiles; memory."""
    once = made["identity"]["settings"]["tower"] == "once"
    return [_times(name, found, once) for name, found in made["methods"].items()]


def _times(name: str, found: dict[str, Any], once: bool) -> dict[str, str]:
    rounds, row = found["rounds"], {"method": name}
    row["TTFT ms"] = "" if once else _quartiles([one["ttft"] for one in rounds])
    for phase in PHASES:
        row[phase] = _ms([one["phases"].get(phase, 0.0) for one in rounds])
    row["TPOT ms"] = _ms([one["tpot"] for one in rounds])
    row["LLM TFLOP/s"] = _rate(found)
    row["peak MB"] = _number([one["peak_bytes"] for one in rounds], 1e-6, "{:.0f}")
    row["KV MB"] = f"{found['kv_bytes'] / 1e6:.1f}"
    return row


def _rate(found: dict[str, Any]) -> str:
    """Modelled FLOPs of the LLM's prefill with the method's own work, by the seconds that both took."""
    seconds = float(np.median([one["llm"] for one in found["rounds"]]))
    return f"{found['modelled']['flops'] / seconds / 1e12:.3g}" if seconds else ""


def _values(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _number(values: Sequence[float | None], factor: float, form: str) -> str:
    known = _values(values)
    return form.format(factor * float(np.median(known))) if known else ""


def _ms(values: Sequence[float | None]) -> str:
    return _number(values, 1e3, "{:.1f}")


def _quartiles(values: Sequence[float]) -> str:
    low, middle, high = np.percentile(np.array(values) * 1e3, [25, 50, 75])
    return f"{middle:.1f} [{low:.1f}, {high:.1f}]"


def ratios(made: dict[str, Any]) -> Table:
    """One row per method: medians of ratios within a round, with their intervals, and the model's ratios."""
    base = made["methods"][made["baseline"]]
    once = made["identity"]["settings"]["tower"] == "once"
    return [_ratios(name, found, base, once) for name, found in made["methods"].items() if found is not base]


def _ratios(name: str, found: dict[str, Any], base: dict[str, Any], once: bool) -> dict[str, str]:
    row = {"method": name, "tokens": _share(found, base)}
    for what, key in (("LLM prefill", "llm"), ("TTFT", "ttft"), ("TPOT", "tpot")):
        row[f"{MEASURED}: {what}"] = "" if once and key == "ttft" else paired(found, base, key)
    row[f"{MEASURED}: KV cache"] = f"{found['kv_bytes'] / base['kv_bytes']:.3f}"
    row[f"{MEASURED}: own work"] = _own(found, base)
    ours, whole = found["modelled"], base["modelled"]
    row[f"{MODELLED}: FLOPs"] = f"{ours['flops'] / whole['flops']:.3f}"
    row[f"{MODELLED}: roofline"] = f"{ours['seconds'] / whole['seconds']:.3f}"
    return row


def _own(found: dict[str, Any], base: dict[str, Any]) -> str:
    """The reducer's phase, against the unreduced model's prefill in the same round."""
    pairs = zip(found["rounds"], base["rounds"], strict=True)
    shares = [ours["phases"].get(REDUCER, 0.0) / whole["llm"] for ours, whole in pairs if whole["llm"]]
    return f"{100 * float(np.median(shares)):.2f} %" if shares else ""


def _share(found: dict[str, Any], base: dict[str, Any]) -> str:
    """Tokens, visual and text, of all layers, against the unreduced model's."""
    ours, whole = (sum(map(sum, one["tokens_per_layer"])) for one in (found, base))
    return f"{ours / whole:.3f}"


def paired(found: dict[str, Any], base: dict[str, Any], key: str) -> str:
    """Median over rounds of the ratio within a round, with its interval."""
    pairs = [(ours[key], whole[key]) for ours, whole in zip(found["rounds"], base["rounds"], strict=True)]
    known = [ours / whole for ours, whole in pairs if ours is not None and whole]
    if not known:
        return ""
    middle, low, high, _ = median_interval(np.array(known))
    return f"{middle:.3f} [{low:.3f}, {high:.3f}]" if len(known) > 1 else f"{middle:.3f}"


def caption(made: dict[str, Any]) -> str:
    """What was measured on what, and what the columns mean."""
    named = made["identity"]
    rounds = len(made["methods"][made["baseline"]]["rounds"])
    level = (
        f"ratios with a {100 * median_interval(np.zeros(rounds))[3]:.0f} % interval" if rounds > 1 else "no interval"
    )
    tokens = made["methods"][made["baseline"]]["tokens_per_layer"][0][0]
    where = ", ".join(f"{key} {value}" for key, value in named["hardware"].items())
    versions = ", ".join(f"{name} {named['versions'][name]}" for name in ("torch", "transformers"))
    return (
        f"{made['model']}, {named['batch']} x {tokens} tokens, {named['model']['dtype']}, attention {made['attn']}; "
        f"{where}; {'' if named['settings']['clock'] == 'wall' else 'time of the process, not of the wall; '}"
        f"{versions}; file {made['id']}.json\n"
        f"Medians of {rounds} rounds in which the methods took turns; TTFT with quartiles, {level}. "
        f"LLM prefill includes the reducer's work.\n"
        f"Modelled: profile {made['profile']}, LLM prefill and the method's own work, from the tokens that each layer "
        f"processed; roofline by {_peaks(made['roofline'])}, a product of matrices and a copy on this machine. "
        f"The products of a decoder layer reach {made['layer_flops'] / 1e12:.3g} TFLOP/s here."
    )


def _peaks(machine: dict[str, Any]) -> str:
    (peak,) = (value for value in machine["peak"].values() if value is not None)
    return f"{peak:.3g} TFLOP/s and {machine['bandwidth']:.3g} GB/s"


def show(made: dict[str, Any], form: Format = "rich") -> None:
    """Print both tables."""
    for title, table in (("measured", times(made)), ("ratios to the unreduced model", ratios(made))):
        if table:
            print_table(table, form, left=("method",), title=title, keys=("method",))
            print(end="" if form == "rich" else "\n")
    print(caption(made))
