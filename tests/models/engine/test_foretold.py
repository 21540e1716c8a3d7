"""Where a method should come by in a tree of shared layers."""

from types import SimpleNamespace
from typing import Any

import pytest

from winnow.models.engine.foretold import Expected
from winnow.reducers.core.layout import Layout
from winnow.reducers.core.schedule import First, K
from winnow.reducers.fastv import FastV
from winnow.reducers.tome import ToMe
from winnow.reducers.vas import VAS

LAYOUT = Layout.of(30, (3, (4, 2, 2)))


def node(layer: int, *visual: int, cutter: Any = None) -> Any:
    return SimpleNamespace(layer=layer, visual=visual, cutter=cutter)


@pytest.mark.parametrize(
    ("layer", "visual", "passes"), [(1, (16, 16), True), (2, (16, 16), False), (2, (4, 4), True), (2, (4, 8), False)]
)
def test_a_method_comes_by_where_its_plan_says(layer: int, visual: tuple[int, ...], passes: bool) -> None:
    expected = Expected(FastV(ratio=0.25, schedule=K(2)), 8, None)
    assert expected.plan(LAYOUT) == [16, 16, *[4] * 6] and expected.stops == {2, 8}
    assert expected.passes(node(layer, *visual), [LAYOUT, LAYOUT]) is passes


def test_nobody_comes_by_a_layer_that_a_method_acts_inside() -> None:
    expected = Expected(ToMe(r=2, schedule=First(3)), 8, None)
    assert expected.inside == {0, 1, 2}
    assert not expected.passes(node(1, 14), [LAYOUT]) and expected.passes(node(3, 10), [LAYOUT])


def test_where_there_is_no_plan_nobody_comes_by() -> None:
    expected = Expected(FastV(ratio=0.25), 8, None)
    expected._plans[LAYOUT.spans[0].grid,] = []
    assert not expected.passes(node(1, 4), [LAYOUT])


def test_one_that_looks_at_the_content_comes_by_who_is_of_its_kind() -> None:
    expected = Expected(VAS(r=0.5), 28, None)
    planned = expected.plan(LAYOUT)
    cut = next(layer for layer, count in enumerate(planned) if count < 16)
    assert expected.passes(node(cut, 3, cutter=VAS), [LAYOUT]) and not expected.passes(
        node(cut, planned[cut]), [LAYOUT]
    )
    assert expected.passes(node(0, 16), [LAYOUT]) and not expected.passes(node(0, 8), [LAYOUT])
