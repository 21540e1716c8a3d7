"""A run whose choice is another run's, token by token, and one that knows what was asked for."""

import pytest
from views import layout, view

from winnow.reducers.core.errors import WinnowError
from winnow.reducers.oracle import Oracle
from winnow.reducers.same import Same

PROMPT = layout((1, 1, 4), head=2)  # visual tokens 2 to 5
LIKE = Same({"k": [3, -1, 0, 6]}, "a1")


@pytest.mark.parametrize(("layer", "left"), [(0, [2, 4, 5]), (1, [2, 5]), (3, [2, 5]), (4, [5]), (6, [5])])
def test_it_keeps_what_the_recorded_run_had_left(layer: int, left: list[int]) -> None:
    """The last layers that saw each of four tokens are 3, none, 0 and 6."""
    answer = LIKE.reduce(view(PROMPT, layer))
    assert answer is not None and answer.keep.tolist() == left


def test_where_nothing_was_dropped_nothing_is() -> None:
    assert Same({"k": [6] * 4}).reduce(view(PROMPT, 3)) is None
    assert LIKE.adaptive and LIKE.knobs(7) == {"like": "a1"} and len(LIKE.sites(7)) == 7


@pytest.mark.parametrize(
    ("fates", "had"),
    [({}, "no such sample"), ({"k": [1, 2]}, "2 visual tokens, this run 4")],
)
def test_a_run_on_other_input_is_refused(fates: dict[str, list[int]], had: str) -> None:
    with pytest.raises(WinnowError, match=f"does not fit sample 'k': it has {had}; use the same model"):
        Same(fates).reduce(view(PROMPT))


def test_an_oracle_draws_the_rest_and_needs_to_be_told() -> None:
    assert Oracle.seeded and Oracle.needs_relevance and Oracle().scope == "prompt"
    assert not Same.seeded and not Same.needs_relevance
