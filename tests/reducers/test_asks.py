"""Where each method acts in a model of 28 layers, and which statistics of which layer or vision block it asks for."""

from collections.abc import Iterable
from typing import Any

import pytest

from winnow.reducers.core.probes import (
    Change,
    HighestRows,
    KeysAhead,
    LookAhead,
    MeanQuery,
    PageRank,
    PeakRows,
    Probe,
    Raters,
    Rows,
)
from winnow.reducers.core.probes import Keys as LLMKeys
from winnow.reducers.core.registry import METHODS, named
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import (
    ClsLogits,
    ClsRow,
    ColumnMean,
    Headless,
    JoinedHeads,
    PooledByHead,
    TextMatch,
    Tower,
    TowerKeys,
    TowerProbe,
    TowerValues,
)

DEPTH = 28
CLIP = Tower(blocks=24, used=23, rows=24, cols=24, cls=True)
SIGLIP = Tower(blocks=26, used=26, rows=27, cols=27, cls=False)

Asked = tuple[tuple[Any, int], ...]


def at(*numbers: int) -> list[Site]:
    return [Site.layer(number, DEPTH) for number in numbers]


def inside(numbers: Iterable[int]) -> list[Site]:
    return [Site.inside(number, DEPTH) for number in numbers]


def in_each(layers: Iterable[int], *probes: Probe | TowerProbe) -> Asked:
    return tuple((probe, layer) for layer in layers for probe in probes)


FITTED = [*range(21), 23, 24]
"""Layers 21, 22 and from 25 on of 28 stand at 24, 25 and from 29 on in the table of 32, where nothing is deleted."""
ENTRANCE, LAST, TEXT = at(0), Rows("last"), Rows("text")
CASES: dict[str, tuple[dict[str, Any], list[Site], Asked]] = {
    "aim": ({}, at(0, *range(15, 23)), in_each(range(14, 22), PageRank(0.1, 5))),
    "aim same": ({"apply": "same"}, at(0, *range(14, 22)), in_each(range(13, 21), PageRank(0.1, 5))),
    "aim_prune": ({}, at(*range(15, 23)), in_each(range(14, 22), PageRank(0.1, 5))),
    "dart layer": ({"at": "layer"}, at(2), in_each([1], LLMKeys(rope=True))),
    "fastv": ({}, at(2), in_each([1], LAST)),
    "fitprune": ({}, inside(FITTED), in_each(FITTED, PeakRows("text"), PeakRows("visual"))),
    "flashvid": ({}, at(0, 20), in_each([19], LAST)),
    "flashvid once": ({"second": 1.0}, at(0), ()),
    "frame_pairs": ({}, at(2), in_each([1], TEXT)),
    "framefusion": ({}, [*ENTRANCE, *inside(range(27))], in_each(range(27), LAST)),
    "holitom": ({}, at(0, 18), in_each([17], LAST)),
    "illava": ({}, at(8), in_each([7], LAST)),
    "pact": ({}, at(4), in_each([4], MeanQuery(), KeysAhead())),
    "pdrop": ({}, at(7, 14, 21), in_each([7, 14, 21], LookAhead())),
    "pixelprune": ({}, [Site.pixels(DEPTH)], ()),
    "prunevid all": ({"second": 0.4, "decode": "all"}, at(0, 10), in_each([9], HighestRows("text"))),
    "prunevid kept": ({"second": 0.4}, [*at(0, 10), Site.decode(0, DEPTH)], in_each([9], HighestRows("text"))),
    "sparsevlm": ({}, at(3, 6, 14), in_each([2, 5, 13], Raters())),
    "sparsevlm +": ({"version": "+"}, at(3, 6, 14), in_each([2, 5, 13], Raters(14, corrected=True))),
    "tome": ({}, inside(range(24)), in_each(range(24), LLMKeys(rope=False))),
    "tome rope": ({"rope": True}, inside(range(24)), in_each(range(24), LLMKeys(rope=True))),
    "v2drop": ({}, at(3, 15, 19), in_each([2, 14, 18], Change())),
    "vas": ({}, at(*range(6, 25)), in_each(range(3, 24), TEXT)),
    "vcc": ({}, at(2), ()),
    "vscan": ({}, at(0, 14), in_each([14], LookAhead())),
    "vtw": ({}, at(15), ()),
}
NOWHERE = [
    "none",
    "ats",
    "cgsm",
    "evit",
    "ficoco_v",
    "hiprune",
    "prumerge",
    "scope",
    "tome_tower",
    "trim",
    "visionzip",
    "vispruner",
]
"""Those that act in the vision tower alone, and none."""


@pytest.mark.parametrize("case", CASES)
def test_inside_the_llm(case: str) -> None:
    options, sites, probes = CASES[case]
    method = named(case.partition(" ")[0], options)
    assert list(method.sites(DEPTH)) == sites and _sorted(method.probes(DEPTH)) == _sorted(probes)


@pytest.mark.parametrize(
    "name", sorted(METHODS.keys() - {case.partition(" ")[0] for case in CASES} - {"compose"} | {"dart", "prunevid"})
)
def test_the_others_act_at_the_entrance_and_ask_for_nothing(name: str) -> None:
    method = named(name, {})
    assert list(method.sites(DEPTH)) == ([] if name in NOWHERE else ENTRANCE) and method.probes(DEPTH) == ()


TOWERS: dict[str, tuple[dict[str, Any], Asked, Asked]] = {
    "cdpruner": ({"variant": "clip", "text_tower": "x"}, ((TextMatch("x"), 23),), ()),
    "cgsm": (
        {},
        in_each(range(23), TowerKeys(), ColumnMean(), ClsRow()),
        in_each(range(26), TowerKeys(), ColumnMean()),
    ),
    "evit": ({}, in_each((6, 12, 18), ClsRow()), in_each((6, 13, 19), ColumnMean())),
    "evit mean": ({"guide": "mean"}, in_each((6, 12, 18), ColumnMean()), in_each((6, 13, 19), ColumnMean())),
    "ats": (
        {},
        in_each((6, 12, 18), ClsRow(), TowerValues()),
        in_each((6, 13, 19), ColumnMean(), TowerValues()),
    ),
    "fastvid": ({}, in_each([22], ClsRow()), in_each([25], ColumnMean())),
    "fastvid head": ({"variant": "head", "pooling_head": "x"}, (), in_each([26], PooledByHead("x"))),
    "ficoco_v": ({}, in_each(range(12, 23), JoinedHeads()), in_each(range(13, 26), JoinedHeads())),
    "flashvid": ({}, in_each([22], ClsRow()), in_each([25], ColumnMean())),
    "globalcom2": ({}, in_each([23], ClsLogits()), in_each([25], ClsLogits())),
    "hiprune": ({}, in_each((8, 22), ColumnMean(), ClsRow()), in_each((8, 25), ColumnMean())),
    "hired": ({}, in_each((0, 22), ClsRow()), in_each((0, 25), ColumnMean())),
    "holitom": ({}, in_each([22], ClsRow()), in_each([25], ColumnMean())),
    "holov": ({}, in_each([22], ClsRow()), in_each([25], ColumnMean())),
    "illava": ({}, in_each(range(4, 8), ClsRow()), in_each(range(5, 9), ColumnMean())),
    "prumerge": ({}, in_each([23], Headless(), TowerKeys()), in_each([25], Headless(), TowerKeys())),
    "prumerge paper": (
        {"variant": "paper"},
        in_each([22], ClsRow(), TowerKeys()),
        in_each([25], ColumnMean(), TowerKeys()),
    ),
    "scope": ({}, in_each([22], ClsRow()), in_each([25], ColumnMean())),
    "tome_tower": ({}, in_each(range(23), TowerKeys()), in_each(range(26), TowerKeys())),
    "trim": ({}, ((TextMatch("openai/clip-vit-large-patch14-336", cosine=False, whole=False), 23),), ()),
    "visionzip": ({}, in_each([22], ClsRow(), TowerKeys()), in_each([25], ColumnMean(), TowerKeys())),
    "vispruner": ({}, in_each([22], ClsRow()), in_each([25], ColumnMean())),
    "vscan": ({}, in_each((5, 22), ClsRow()), in_each((5, 25), ColumnMean())),
}
"""With options, what is asked of CLIP, and of SigLIP; nothing: of a tower that it cannot read."""
BLIND = sorted(METHODS.keys() - TOWERS.keys() - {"compose"})


@pytest.mark.parametrize("case", TOWERS)
def test_in_the_vision_tower(case: str) -> None:
    options, *asked = TOWERS[case]
    method = named(case.partition(" ")[0], options)
    for tower, probes in zip((CLIP, SIGLIP), asked, strict=True):
        if probes:
            assert _sorted(method.tower_probes(tower)) == _sorted(probes)


@pytest.mark.parametrize("name", BLIND)
def test_the_others_do_not_look_into_the_tower(name: str) -> None:
    assert named(name, {}).tower_probes(CLIP) == named(name, {}).tower_probes(SIGLIP) == ()


IN_TOWER = {
    "ats": (6, 12, 18),
    "cgsm": range(23),
    "evit": (6, 12, 18),
    "ficoco_v": range(12, 23),
    "illava": range(4, 8),
    "tome_tower": range(23),
}
"""Blocks of CLIP."""
AT_FEATURES = {"hiprune", "prumerge", "scope", "trim", "visionzip", "vispruner"}


@pytest.mark.parametrize("name", sorted(METHODS.keys() - {"compose"}))
def test_sites_in_the_vision_tower(name: str) -> None:
    method = named(name, {})
    found = [site for site in method.sites(DEPTH, CLIP) if site.in_tower]
    expected = [Site.tower(block, CLIP) for block in IN_TOWER.get(name, ())]
    assert found == expected + [Site.features(CLIP)] * (name in AT_FEATURES)
    assert method.acts_in_tower(DEPTH, CLIP) is bool(found) and not method.acts_in_tower(DEPTH, None)


def _sorted(asked: Asked) -> Asked:
    return tuple(sorted(asked, key=lambda one: (one[1], repr(one[0]))))
