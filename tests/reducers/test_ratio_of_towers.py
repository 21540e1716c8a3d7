"""A ratio is a share; that of a method of the vision tower, of the tokens that the LLM would otherwise get."""

from dataclasses import fields
from typing import Any

import pytest

from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.registry import METHODS, find
from winnow.reducers.core.tower import Tower

POINTWISE = Tower(blocks=26, used=26, rows=27, cols=27, cls=False)
POOLED = Tower(blocks=26, used=26, rows=27, cols=27, cls=False, slots=196)
CLASSES: dict[str, Any] = {name: find(f"winnow.reducers.{name}:{kind}") for name, kind in METHODS.items()}
NAMES = [
    name
    for name, kind in CLASSES.items()
    if "ratio" in {field.name for field in fields(kind)} and kind().acts_in_tower(28, POINTWISE)
]


def left(name: str, tower: Tower, ratio: float) -> int:
    return int(CLASSES[name](ratio=ratio).plan_tower(28, tower)[-1])


@pytest.mark.parametrize("ratio", [0.05, 0.2, 0.3, 0.9])
@pytest.mark.parametrize("name", NAMES)
def test_a_pooled_frame_counts_its_slots(name: str, ratio: float) -> None:
    assert left(name, POINTWISE, ratio) == pytest.approx(729 * ratio, abs=1)
    assert left(name, POOLED, ratio) == pytest.approx(196 * ratio, abs=1)


@pytest.mark.parametrize("name", NAMES)
def test_ratio_1_leaves_the_tower_alone(name: str) -> None:
    assert left(name, POOLED, 1.0) == left(name, POINTWISE, 1.0) == 729


@pytest.mark.parametrize("ratio", [0, -0.5, 1.5])
@pytest.mark.parametrize("name", [name for name, kind in CLASSES.items() if "ratio" in {f.name for f in fields(kind)}])
def test_a_ratio_outside_0_to_1_is_refused(name: str, ratio: float) -> None:
    with pytest.raises(WinnowError, match=rf"ratio={ratio} (is not allowed|means nothing)"):
        CLASSES[name](ratio=ratio)


def test_there_are_such_methods() -> None:
    assert {"prumerge", "evit", "ats", "tome_tower", "visionzip", "vispruner", "scope"} <= {*NAMES}
