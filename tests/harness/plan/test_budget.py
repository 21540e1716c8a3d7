"""The solver finds the nearest attainable budget, or says what is attainable."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from values import usual

from winnow.harness.plan.budget import Solution, solve
from winnow.reducers.core.errors import WinnowError


def drop_after_two(ratio: float) -> list[int]:
    """Two full layers of 200 tokens, then the kept share in six more."""
    return [200] * 2 + [round(200 * ratio)] * 6


def mean_share(tokens: list[int]) -> float:
    return sum(tokens) / (200 * len(tokens))


def test_by_hand() -> None:
    # (2 + 6 r) / 8 = 0.4 gives r = 0.2.
    found = solve(drop_after_two, mean_share, 0.4, 0.01, 0.99, 0.02)
    assert found.ratio == pytest.approx(0.2, abs=0.0026)
    assert (found.asked, found.achieved) == (0.4, pytest.approx(0.4)) and usual(Solution) == {}


@given(st.floats(0.26, 0.99))
def test_no_other_ratio_comes_nearer(target: float) -> None:
    found = solve(drop_after_two, mean_share, target, 0.01, 1.0, 0.02)
    assert found.achieved == mean_share(drop_after_two(found.ratio))
    every = [mean_share([200] * 2 + [kept] * 6) for kept in range(2, 201)]
    assert abs(found.achieved - target) == pytest.approx(min(abs(value - target) for value in every), abs=1e-9)


@pytest.mark.parametrize("target", [0.1, 1.4, float("nan")])
def test_out_of_reach_names_the_range(target: float) -> None:
    with pytest.raises(WinnowError, match=r"attains 0\.2575 to 0\.9925 here.*raise budget\.tol"):
        solve(drop_after_two, mean_share, target, 0.01, 0.99, 0.02)


def test_just_outside_but_within_tol_takes_the_end() -> None:
    found = solve(drop_after_two, mean_share, 0.25, 0.01, 0.99, 0.02)
    assert (found.ratio, found.achieved) == (0.01, pytest.approx(0.2575))


def test_a_gap_wider_than_tol_is_out_of_reach() -> None:
    with pytest.raises(WinnowError, match=r"the nearest is 0\.5"):
        solve(lambda ratio: [1 if ratio < 0.5 else 2], lambda tokens: tokens[0] / 2, 0.7, 0.0, 1.0, 0.02)


def test_the_tolerance_is_absolute_for_shares_and_relative_for_what_has_a_unit() -> None:
    """A step of 100 from 950 to 1050, asked for 1000: 50 off, 5 % of it, and far more than 0.06."""

    def stepped(ratio: float) -> list[int]:
        return [950 if ratio < 0.5 else 1050]

    found = solve(stepped, lambda tokens: float(tokens[0]), 1000, 0.01, 1.0, 0.06, "ms")
    assert abs(found.achieved - 1000) == 50
    for unit, tol in (("ms", 0.04), ("", 0.06)):
        with pytest.raises(WinnowError, match=rf"the budget 1000{' ms' if unit else ''} is out of reach"):
            solve(stepped, lambda tokens: float(tokens[0]), 1000, 0.01, 1.0, tol, unit)


def test_the_tolerance_of_a_share_does_not_shrink_with_it() -> None:
    # A tenth is 0.015 off: within 0.02, though that is 15 % of it.
    found = solve(lambda ratio: [115 if ratio > 0.5 else 85], lambda tokens: tokens[0] / 1000, 0.1, 0.01, 1.0, 0.02)
    assert found.achieved in (0.115, 0.085)
