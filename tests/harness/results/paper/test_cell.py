"""What a cell says of its comparisons: the star and the tilde at 5 %."""

import pytest
from papers import ours
from values import usual

from winnow.harness.results.paper.cell import Entry, Line, Table


@pytest.mark.parametrize(
    ("p", "lost"), [(0.0, True), (0.049, True), (0.05, False), (0.07, False), (0.1, False), (1.0, False)]
)
def test_five_per_cent_part_a_difference_from_chance(p: float, lost: bool) -> None:
    assert Entry(p_base=p).lost == lost
    assert Entry(p_random=p).like_random == (not lost)


def test_what_was_not_compared_is_neither() -> None:
    assert not Entry().lost and not Entry().like_random
    assert not Entry(p_random=0.01).lost and not Entry(p_base=0.5).like_random


def test_the_difference_is_ours_minus_printed() -> None:
    assert ours(50, value=53.5).difference == -3.5
    assert ours(50, value=None).difference is None is Entry().difference is Entry(ours(1).ours).difference


def test_what_is_meant_where_nothing_is_said() -> None:
    assert usual(Entry) == dict.fromkeys(("ours", "printed", "base", "random", "p_base", "p_random")) | {
        "best": False, "missing": False
    }  # fmt: skip
    assert usual(Line) == {"retained": None}
    assert usual(Table) == {"smoke": False, "gates": [], "commands": {}, "sorted_by_place": []}
