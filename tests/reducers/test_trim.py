"""TRIM against its released code, written as loops."""

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from seeds import seeds
from towers import CLIP, SIGLIP, check, draw, frame

from winnow.reducers.core.errors import UnsupportedError
from winnow.reducers.core.tower import Tower
from winnow.reducers.trim import TRIM


def quantile(values: Sequence[float], part: float) -> float:
    ranked, place = sorted(values), part * (len(values) - 1)
    low, high = math.floor(place), math.ceil(place)
    return ranked[low] + (ranked[high] - ranked[low]) * (place - low)


def outliers(alike: list[float]) -> float:
    """The share of patches above the third quartile by 1.5 times the distance of the quartiles."""
    total = sum(math.exp(-x) for x in alike)
    weights = [math.exp(-x) / total for x in alike]
    low, high = quantile(weights, 0.25), quantile(weights, 0.75)
    return sum(w > high + 1.5 * (high - low) for w in weights) / len(weights)


def by_hand(alike: list[float], ratio: float | None) -> list[int]:
    """The patches that are kept, in raster order."""
    kept = int(len(alike) * (outliers(alike) if ratio is None else ratio))
    return sorted(sorted(range(len(alike)), key=lambda p: (alike[p], p))[:kept])


@seeds(200)
def test_it_is_the_released_code(seed: int) -> None:
    random = draw(seed)
    tower = Tower(3, 2, *(int(torch.randint(2, 7, (), generator=random)) for _ in range(2)), cls=True)
    method = TRIM(ratio=[None, 0.1, 0.4, 0.9][seed % 4], extra=seed % 3 > 0, order=("official", "raster")[seed % 2])
    view = frame(tower, method, tower.used, tower.patches, seed)
    alike = torch.randn(tower.patches, generator=random, dtype=torch.double) * 3
    alike[: int(torch.randint(0, 4, (), generator=random))] = -9.0  # what is far from the text, and alike
    view = replace(view, signals=dict.fromkeys(method.tower_probes(tower), alike))
    kept = by_hand(alike.tolist(), method.ratio)
    answer = method.reduce(view)
    check(view, answer)
    if not kept and not method.extra:
        assert len(answer.keep) == 1  # where the code stops
        return
    rest = [place for place in range(tower.patches) if place not in kept]
    rows = [{place: 1.0} for place in kept] + ([dict.fromkeys(rest, 1 / len(rest))] if method.extra else [])
    slots = kept + ([rest[-1]] if method.extra else [])
    if method.order == "raster":
        rows = [row for _, row in sorted(zip(slots, rows, strict=True), key=lambda pair: pair[0])]
    expected = torch.zeros(len(rows), tower.patches)
    for number, row in enumerate(rows):
        for place, weight in row.items():
            expected[number, place] = weight
    assert answer.keep.tolist() == sorted(slots) and torch.allclose(answer.weights.to_dense(), expected)
    if method.ratio is not None:
        assert len(answer.keep) == method.plan_tower(28, tower)[-1]


def test_pictures_that_are_encoded_together_share_their_outliers() -> None:
    """One patch of 18 is an outlier in one picture, none in the other: each keeps half a patch, rounded down."""
    method = TRIM(counts="batch")
    tower = Tower(3, 2, 3, 3, cls=True)
    (probe,) = method.tower_probes(tower)
    even, odd = torch.arange(9) / 100, torch.arange(9) / 100
    odd[4] = -5
    views = [frame(tower, method, 2, 9, 0) for _ in range(2)]
    batch = [{probe: even}, {probe: odd}]
    counts = [
        [len(m.reduce(replace(view, signals=own, batch=batch)).keep) for view, own in zip(views, batch, strict=True)]
        for m in (method, TRIM())
    ]
    assert method.together and not TRIM().together and not TRIM(ratio=0.5, counts="batch").together
    assert counts == [[1, 1], [1, 2]]  # the extra token, and the outlier


def test_counts_and_refusals() -> None:
    assert TRIM(ratio=0.25).plan_tower(32, CLIP)[-1] == 145 and TRIM().plan_tower(32, CLIP)[-1] == 121
    assert TRIM().adaptive and TRIM().keep_all().plan_tower(32, CLIP)[-1] == 576
    with pytest.raises(UnsupportedError, match="none of CLIP"):
        TRIM().tower_probes(SIGLIP)


def test_the_other_way_round_keeps_what_is_like_the_text() -> None:
    tower, most = Tower(3, 2, 2, 2, cls=True), TRIM(ratio=0.25, extra=False, select="most")
    view = frame(tower, most, 2, 4, 0)
    told = replace(view, signals={most.tower_probes(tower)[0]: torch.tensor([0.1, 0.9, 0.3, 0.2])})
    assert most.reduce(told).keep.tolist() == [1]
    assert replace(most, select="least").reduce(told).keep.tolist() == [0]
