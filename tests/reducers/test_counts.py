"""What holds for the counts of every method: never more than there are, one token at least, all where all is kept."""

from dataclasses import replace
from itertools import pairwise, product
from typing import Any

import pytest

from winnow.reducers.core.layout import Grid, Width
from winnow.reducers.core.registry import METHODS, named
from winnow.reducers.core.tower import Tower

DEPTH, WIDTH = 28, Width(64, 16)
TOWERS = Tower(24, 23, 24, 24, cls=True), Tower(26, 26, 27, 27, cls=False, slots=196)
NATIVE: dict[str, dict[str, Any]] = {
    "aim": {"r": 98},
    "aim_merge": {"r": (98, 30)},
    "ats": {"n": 40},
    "cgsm": {"r": 8},
    "dart": {"R": 0.7},
    "dycoke": {"k": 0.7},
    "evit": {"rate": 0.7},
    "evs": {"q": 0.7},
    "fastv": {"R": 0.7},
    "ficoco_v": {"r": 8},
    "grid": {"a": 2, "b": 3},
    "illava": {"r": 9},
    "pdrop": {"ratios": (0.5, 0.3, 0.1)},
    "prumerge": {"attended": 0.125},
    "sparsevlm": {"counts": (0.5, 0.3, 0.1)},
    "tome": {"r": 5},
    "tome_tower": {"r": 8},
    "v2drop": {"keep": (0.5, 0.3, 0.1)},
    "vas": {"r": 0.4},
    "vcc": {"stride": 3},
    "vidcom2": {"q": 0.7},
}
CASES = {name: named(name, {}) for name in sorted(METHODS.keys() - {"compose"})}
CASES |= {f"{name} native": named(name, options) for name, options in NATIVE.items()}
GRIDS = Grid(1, 1, 1), Grid(1, 2, 1), Grid(2, 3, 3), Grid(3, 6, 2), Grid(1, 35, 7), Grid(5, 81, 9)
EMPTY = {"aim", "aim native", "aim_prune", "blind", "vtw"}
"""Those that may leave nothing."""
FIXED = {"cgsm", "tome_tower", "vas", "vcc"}
"""Whose counts at a site are those of a plan that nothing before it has cut."""


@pytest.mark.parametrize("case", CASES)
def test_counts_lie_between_one_and_what_is_there(case: str) -> None:
    method = CASES[case]
    for tower, grid in product(TOWERS, GRIDS):
        present = {True: tower.patches, False: grid.tokens}
        for site in method.sites(DEPTH, tower):
            whole, there = (tower.grid if site.in_tower else grid), present[site.in_tower]
            left = method.count(site, whole, there)
            assert left == int(left) and (0 if case in EMPTY else 1) <= left <= there
            assert method.work(site, whole, there, WIDTH) >= 0
            present[site.in_tower] = left
            for few in (1, 2, 3) if site.kind in ("tower", "layer", "inside") and method.name not in FIXED else ():
                assert (0 if case in EMPTY else 1) <= method.count(site, whole, few) <= few


@pytest.mark.parametrize("tower", TOWERS, ids=["clip", "siglip"])
@pytest.mark.parametrize("case", CASES)
def test_settings_that_keep_everything_do(case: str, tower: Tower) -> None:
    method = CASES[case].keep_all()
    if method is None:
        assert case in ("blind", "none", "frame_pairs")
        return
    assert type(method) is type(CASES[case])
    grids = [Grid(4, 36, 6), Grid(1, 35, 7), Grid(1, 1, 1)]
    assert method.plan(grids, DEPTH) == [180] * DEPTH
    assert all(
        method.count(site, tower.grid, tower.patches) == tower.patches
        for site in method.sites(DEPTH, tower)
        if site.in_tower
    )


@pytest.mark.parametrize("name", sorted(name for name, method in CASES.items() if getattr(method, "ratio", None)))
def test_a_larger_ratio_never_keeps_fewer(name: str) -> None:
    method: Any = CASES[name]
    native = dict.fromkeys(method.native)
    prompt, ratios = [Grid(frames, TOWERS[0].patches, TOWERS[0].cols) for frames in (1, 4)], (0.0625, 0.25, 0.5, 1.0)
    plans = [replace(method, **native, ratio=ratio).plan(prompt, DEPTH, TOWERS[0]) for ratio in ratios]
    for fewer, more in pairwise(plans):
        assert all(a <= b for a, b in zip(fewer, more, strict=True))
    assert sum(plans[0]) < sum(plans[-1])


PLANS: dict[str, tuple[dict[int, int], dict[int, int]]] = {
    "aim_temporal": ({0: 105}, {0: 35}),
    "average": ({0: 100}, {0: 20}),
    "blind": ({0: 0}, {0: 0}),
    "dart": ({0: 44}, {0: 9}),
    "divprune": ({0: 17}, {0: 3}),
    "dtd": ({0: 105}, {0: 35}),
    "evs": ({0: 43}, {0: 35}),
    "fastv": ({2: 88}, {2: 18}),
    "fastvid": ({0: 40}, {0: 8}),
    "flashvid": ({0: 55, 20: 17}, {0: 11, 20: 4}),
    "frame_pairs": ({2: 105}, {2: 35}),
    "globalcom2": ({0: 45}, {0: 9}),
    "grid": ({0: 40}, {0: 8}),
    "hired": ({0: 35}, {0: 7}),
    "holitom": ({0: 45, 18: 22}, {0: 9, 18: 4}),
    "holov": ({0: 20}, {0: 4}),
    "illava": ({8: 122}, {8: 24}),
    "mmtok": ({0: 35}, {0: 7}),
    "none": ({}, {}),
    "oracle": ({0: 88}, {0: 18}),
    "pact": ({4: 52}, {4: 10}),
    "pdrop": ({7: 87, 14: 43, 21: 21}, {7: 17, 14: 8, 21: 4}),
    "pixelprune": ({}, {0: 18}),
    "prunevid": ({0: 85}, {0: 17}),
    "random": ({0: 88}, {0: 18}),
    "scissor": ({0: 44}, {0: 9}),
    "sequential": ({0: 88}, {0: 18}),
    "uniform": ({0: 88}, {0: 18}),
    "vcast": ({0: 44}, {0: 35}),
    "vcc": ({2: 90}, {2: 18}),
    "vidcom2": ({0: 43}, {0: 8}),
    "vscan": ({0: 15, 14: 5}, {0: 3, 14: 1}),
    "vtw": ({15: 0}, {15: 0}),
}
"""From which layer on how much is left of a film of 5 frames and of a picture, each of 5 x 7 tokens, by default."""


@pytest.mark.parametrize("name", PLANS)
def test_plans_by_hand(name: str) -> None:
    for frames, falls in zip((5, 1), PLANS[name], strict=True):
        expected, present = [], frames * 35
        for layer in range(DEPTH):
            present = falls.get(layer, present)
            expected.append(present)
        assert CASES[name].plan([Grid(frames, 35, 7)], DEPTH) == expected
