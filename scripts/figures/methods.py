"""Every method against random dropping of as many tokens: at two budgets, and at the layers that dev prefers."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping

import pandas as pd

from scripts.figures.runs import CONTROLS, Store
from winnow.harness.results.tables.runs import plus_minus
from winnow.harness.score.stats import holm
from winnow.reducers.core.registry import METHODS

SECTION, EIGHTH, STAGES, LAYERS, BEST = "methods", "eighth", "stages", "layers", "best"
RATIOS = "0.25,0.1"
OWN_RATIOS: Mapping[str, str] = {
    "aim_temporal": "0.25,0.125",
    "average": "0.25,0.125",
    "cgsm": "0.25,0.2",
    "fitprune": "0.5,0.3",
    "framefusion": "0.5,0.3",
    "sparsevlm": "0.5,0.25",
    "tome_tower": "0.25,0.2",
    "vtw": "0.75,0.625",
}
"""Methods that reach other ratios on pico than `RATIOS`."""
UNASKED = ("aim_prune", "dtd", "pact", "prunevid", "scissor", "frame_pairs")
"""Methods that take no ratio on pico: the content, or the layers, say how much they keep."""
STAGED = ((0.5, 0.4), (0.5, 0.2), (0.25, 0.4))
"""PruneVid's ratio and what its second stage leaves of that, of which the first pair is official."""
LEFT_OUT = ("compose", "pixelprune", "trim")
"""One that is made of two others, one that no model with whole pictures takes, and one that needs CLIP's text tower."""
ASKED = {name: OWN_RATIOS.get(name, RATIOS) for name in sorted(METHODS) if name not in (*CONTROLS, *UNASKED, *LEFT_OUT)}
BY_LAYER: Mapping[str, str] = {
    "fastv": "schedule=pico_k schedule.k={0}",
    "dart": "reducer.at=layer schedule=pico_k schedule.k={0}",
    "vcc": "schedule=pico_k schedule.k={0}",
    "vas": "schedule=pico_rounds schedule.start={0}",
    "pdrop": "schedule=pico_cuts schedule.cuts=[{0},{1},{2}]",
    "v2drop": "schedule=pico_cuts schedule.cuts=[{0},{1},{2}]",
    "aim": "schedule=pico_window schedule.l1={0}",
    "tome": "schedule=pico_first schedule.layers={0}",
}
FIRST = (1, 2, 3, 4, 5)
EARLIEST = {"vas": 3}
"""VAS looks back over three layers."""
VIDEO, DEV = "tasks=pico_video", "tasks=pico_video_dev"


def at(method: str, first: int) -> list[str]:
    """Return the overrides by which a method acts from a layer on."""
    return [f"reducer={method}", *BY_LAYER[method].format(first, first + 1, first + 2).split()]


def compute(store: Store) -> None:
    """Run every method at pico's layers on the held-out split, then its random controls."""
    for ratios in dict.fromkeys(ASKED.values()):
        names = ",".join(name for name, asked in ASKED.items() if asked == ratios)
        store.sweep(SECTION, f"reducer={names}", f"ratio={ratios}", "schedule=pico", "tasks=pico")
    store.sweep(SECTION, f"reducer={','.join(UNASKED)}", "schedule=pico", "tasks=pico")
    store.replay(SECTION, "tasks=pico")


def compute_eighth(store: Store) -> None:
    """Run the methods that take any ratio at an eighth, on videos."""
    names = ",".join(name for name, asked in ASKED.items() if asked == RATIOS)
    store.sweep(EIGHTH, f"reducer={names}", "ratio=0.125", "schedule=pico", VIDEO)
    store.replay(EIGHTH, VIDEO)


def compute_stages(store: Store) -> None:
    """Run, likewise, a second stage that a method leaves out unless it is asked for."""
    for ratio, second in STAGED:
        asked = f"ratio={ratio}", f"reducer.second={second}"
        store.sweep(STAGES, "reducer=prunevid", *asked, "schedule=pico", "tasks=pico")
    store.replay(STAGES, "tasks=pico")


def compute_layers(store: Store) -> None:
    """Find on the dev split where each method gains most over random, and run it there on the held-out one."""
    for method in BY_LAYER:
        for first in FIRST[EARLIEST.get(method, 1) - 1 :]:
            store.sweep(LAYERS, *at(method, first), "ratio=0.25", DEV)
    store.replay(LAYERS, DEV)
    for method, first in best(store).items():
        store.sweep(BEST, *at(method, first), f"ratio={ASKED[method]}", VIDEO)
    store.replay(BEST, VIDEO)


def best(store: Store) -> dict[str, int]:
    """Return, for each method, the first layer at which it gains most over random on the dev split."""
    found = store.table(LAYERS)
    found = found[~found["reducer"].isin(CONTROLS)]
    chosen = found.loc[found.groupby("reducer")["random_delta"].idxmax()]
    return {str(row["reducer"]): _first(str(row["at"])) for _, row in chosen.iterrows()}


def _first(where: str) -> int:
    """Read the first layer out of the column that says where a method acts, such as "l1=5 l2=8"."""
    return int(re.findall(r"=\D?(\d+)", where)[0])


def rows(store: Store, section: str) -> Iterator[str]:
    """Yield a table of a section: accuracy and difference to random of each run, signs adjusted by Holm over it."""
    found = store.table(section)
    found = found[~found["reducer"].isin(CONTROLS)].copy()
    known = found["random_p"].notna()
    found.loc[known, "adjusted"] = holm([*found.loc[known, "random_p"]])
    tasks = [*dict.fromkeys(found["task"])]
    heads = [f"{task.removeprefix('pico_')} | Δ random" for task in tasks]
    yield f"| method | at | ratio | mean / last % | {' | '.join(heads)} |"
    yield f"| --- | --- | --- | --- |{' --- | --- |' * len(tasks)}"
    for _, runs in found.groupby("run", sort=False):
        one = runs.iloc[0]
        shares = f"{100 * one['mean']:.1f} / {100 * one['last']:.1f}"
        cells = [_cell(runs[runs["task"] == task].iloc[0]) for task in tasks]
        yield f"| {one['label']} | {one['at']} | {one['asked']} | {shares} | {' | '.join(cells)} |"


def _cell(row: pd.Series) -> str:
    """Write accuracy and difference; a bold sign marks an adjusted p below 5 %, a plain one an interval without 0."""
    gain = _gain(row)
    sign = "+" if row["random_delta"] > 0 else "–"
    mark = ""
    if not math.isnan(row["random_low"]) and (row["random_low"] > 0 or row["random_high"] < 0):
        mark = f" **{sign}**" if row["adjusted"] < 0.05 else f" {sign}"
    return f"{plus_minus({'mean': row['value'], 'low': row['low'], 'high': row['high']})} | {gain}{mark}"


def _gain(row: pd.Series) -> str:
    """Write the difference to random dropping."""
    found = {"mean": row["random_delta"], "low": row["random_low"], "high": row["random_high"]}
    return plus_minus(found, sign=True)


def layers(store: Store) -> Iterator[str]:
    """Yield a table of the difference to random by first layer, on the dev split at 25 %."""
    found = store.table(LAYERS)
    found = found[~found["reducer"].isin(CONTROLS)]
    yield f"| method | {' | '.join(f'from {first}' for first in FIRST)} | chosen |"
    yield f"| --- |{' --- |' * len(FIRST)} --- |"
    for method, chosen in best(store).items():
        own = {_first(str(row["at"])): row for _, row in found[found["reducer"] == method].iterrows()}
        cells = [_gain(own[first]) if first in own else "" for first in FIRST]
        yield f"| {method} | {' | '.join(cells)} | {chosen} |"


def significant(store: Store) -> Iterator[str]:
    """Yield one sentence a method: at which of its runs it can be told from random, or that it cannot."""
    parts = []
    for section in (SECTION, BEST):
        one = store.table(section)
        parts.append(one[~one["reducer"].isin(CONTROLS)].assign(section=section))
    found = pd.concat(parts)
    found["adjusted"] = holm([*found["random_p"].fillna(1.0)])
    unclear = [name for name, runs in found.groupby("reducer") if not (runs["adjusted"] < 0.05).any()]
    yield f"{found['reducer'].nunique()} methods, {len(found)} comparisons, Holm over all of them at 5 %."
    for name in unclear:
        row = found[found["reducer"] == name].sort_values("random_p").iloc[0]
        gain = _gain(row)
        yield f"- `{name}` cannot be told from random: at best {gain} on {row['task']} (n = {row['n']:.0f})."
    if not unclear:
        yield "Each can be told from random somewhere."
