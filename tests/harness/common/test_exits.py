"""Exit codes of several cells together, as a table."""

from itertools import permutations

import pytest

from winnow.harness.common.exits import BUSY, INCOMPLETE, OK, RunFailedError, worst


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ((), OK),
        ((OK, OK), OK),
        ((OK, INCOMPLETE), INCOMPLETE),
        ((OK, BUSY), BUSY),
        ((BUSY, INCOMPLETE), INCOMPLETE),
        ((OK, BUSY, INCOMPLETE), INCOMPLETE),
    ],
)
def test_what_is_incomplete_is_said_first_in_any_order(codes: tuple[int, ...], expected: int) -> None:
    assert {worst(order) for order in permutations(codes)} == {expected}


def test_the_codes_are_those_of_the_documentation() -> None:
    from winnow.harness.common import exits

    assert (OK, INCOMPLETE, exits.USER_ERROR, BUSY, exits.STOPPED, exits.INTERRUPTED) == (0, 1, 2, 3, 75, 130)


def test_a_failed_run_keeps_its_code_on_the_way_back_from_a_worker_process() -> None:
    import pickle

    back = pickle.loads(pickle.dumps(RunFailedError("why", BUSY)))
    assert (str(back), back.code) == ("why", BUSY)
