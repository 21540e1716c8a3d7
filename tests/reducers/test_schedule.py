import pytest

from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.schedule import Cuts, K, Rounds, Window


def test_absolute_numbers_stay() -> None:
    assert K(2).resolve(28) == K(2)


def test_numbers_scale_by_share_of_depth() -> None:
    assert Window(14, 22, of=28).resolve(32) == Window(16, 25)
    assert Cuts((8, 16, 24), of=32).resolve(28) == Cuts((7, 14, 21))


def test_scaled_numbers_are_at_least_one() -> None:
    assert K(1, of=60).resolve(4) == K(1)


def test_negative_numbers_count_from_the_end() -> None:
    assert Rounds(6, -4, 3).resolve(32).end == 28
    assert Rounds(6, -4, 3).resolve(60).end == 56


@pytest.mark.parametrize("schedule", [K(29), K(0), Window(3, 40), Rounds(5, -40, 1), Cuts((3, 99))])
def test_layers_beyond_the_depth_are_named(schedule: K) -> None:
    with pytest.raises(WinnowError, match=r"lies beyond the LLM's 28 layers: choose 1\.\.2[89]"):
        schedule.resolve(28)


def test_cuts_must_rise() -> None:
    with pytest.raises(WinnowError, match="must rise"):
        Cuts((4, 4)).resolve(28)


def test_interval_must_come() -> None:
    with pytest.raises(WinnowError, match="interval=0"):
        Rounds(3, 5, 0)


@pytest.mark.parametrize(
    ("start", "end", "interval", "due"),
    [(6, 8, 3, [6]), (6, 9, 3, [6, 9]), (6, 6, 1, [6]), (6, 5, 2, []), (1, 3, 1, [1, 2, 3])],
)
def test_rounds_end_with_the_window(start: int, end: int, interval: int, due: list[int]) -> None:
    assert list(Rounds(start, end, interval).forced()) == due


def test_forced_rounds() -> None:
    assert list(Rounds(6, -4, 3).resolve(32).forced()) == [6, 9, 12, 15, 18, 21, 24, 27]


@pytest.mark.parametrize(
    ("layer", "of", "depth", "expected"),
    [(3, 32, 28, 3), (2, 32, 28, 2), (5, 28, 32, 6), (3, 28, 32, 3), (1, 32, 80, 2), (9, 28, 60, 19)],
)
def test_scaled_numbers_are_rounded_to_the_nearest_layer(layer: int, of: int, depth: int, expected: int) -> None:
    """2.625, 1.75, 5.71, 3.43, 2.5 (to even) and 19.29."""
    assert K(layer, of=of).resolve(depth) == K(expected)
    assert Rounds(layer, -1, 3, of=of).resolve(depth).start == expected


@pytest.mark.parametrize("of", [None, 28])
def test_the_hint_is_for_scaled_cuts(of: int | None) -> None:
    with pytest.raises(WinnowError) as error:
        Cuts((3, 3), of=of).resolve(28)
    assert ("schedule.of=null takes them as they are" in str(error.value)) == (of is not None)
