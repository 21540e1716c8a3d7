"""Which schedule a method gets, from groups made by hand."""

from typing import Any

import pytest

from winnow.harness.config.schedules import KINDS, LISTS, choose_schedule
from winnow.reducers.core.errors import WinnowError

SEVERAL = {"kind": "by_reducer", "k": {"k": 3}, "window": {"l1": 2, "l2": 5}, "none": {}}
FIRST = {"kind": "first", "layers": 24, "of": None, "fits": 28}


def test_kinds_are_the_classes_fields() -> None:
    assert KINDS["none"] == () and KINDS["k"] == ("k", "of") and KINDS["window"] == ("l1", "l2", "of")
    assert LISTS["cuts"] == ("cuts",) and LISTS["none"] == LISTS["k"] == ()


@pytest.mark.parametrize(
    ("kinds", "node", "chosen"),
    [
        (("k",), {"kind": "k", "k": 3}, {"kind": "k", "k": 3}),
        (("none", "k"), {"kind": "none"}, None),
        ((), {"kind": "none"}, None),
        (("k", "cuts"), {"kind": "cuts", "cuts": [2, 4]}, {"kind": "cuts", "cuts": [2, 4]}),
        (("cuts",), {"kind": "cuts", "cuts": [-1, 4]}, {"kind": "cuts", "cuts": [-1, 4]}),
        (("window",), {"kind": "window", "l1": 4, "l2": 4}, {"kind": "window", "l1": 4, "l2": 4}),
        (("window",), {"kind": "window", "l1": 4, "l2": -1}, {"kind": "window", "l1": 4, "l2": -1}),
        (("window",), {"kind": "window", "l1": 4, "l2": 0}, {"kind": "window", "l1": 4, "l2": 0}),
        (("window", "k"), SEVERAL, {"kind": "window", "l1": 2, "l2": 5}),
        (("k", "window"), SEVERAL, {"kind": "k", "k": 3}),
        (("none", "first"), SEVERAL, None),
        ((), SEVERAL, None),
    ],
)
def test_what_is_taken(kinds: tuple[str, ...], node: dict[str, Any], chosen: dict[str, Any] | None) -> None:
    assert choose_schedule("x", kinds, node) == chosen


@pytest.mark.parametrize(
    ("kinds", "node", "said"),
    [
        (("k",), {"kind": "cutz"}, r"schedule.kind=cutz is not known: did you mean cuts\? choose none, k"),
        (("k",), {"kind": "none"}, "reducer=x takes no schedule of kind 'none': choose .*schedule=k,"),
        ((), {"kind": "k", "k": 2}, "reducer=x takes no schedule of kind 'k': choose schedule=none"),
        (("k",), {"kind": "k", "l": 2}, "unknown option 'l' of schedule: choose k, of"),
        (("k",), {"kind": "k", "k": 2.5}, "schedule.k=2.5 is not allowed: give whole layer numbers, one for"),
        (("k",), {"kind": "k", "k": True}, "schedule.k=True is not allowed"),
        (("k",), {"kind": "k", "k": None}, "schedule.k=None is not allowed"),
        (("cuts",), {"kind": "cuts", "cuts": 2}, r"cuts=2 is not allowed: give whole .* schedule.cuts=\[2,4\]"),
        (("cuts",), {"kind": "cuts", "cuts": []}, r"schedule.cuts=\[\] is not allowed"),
        (("cuts",), {"kind": "cuts", "cuts": [2, "a"]}, r"schedule.cuts=\[2, 'a'\] is not allowed"),
        (("cuts",), {"kind": "cuts", "cuts": [4, 2, 4]}, r"layers must rise, say schedule.cuts=\[2,4\]"),
        (
            ("window",), {"kind": "window", "l1": 5, "l2": 4},
            "schedule.l2=4 lies before schedule.l1=5: set schedule.l2 to 5 or more, or schedule.l1 to 4 or less",
        ),
        (("rounds",), {"kind": "rounds", "start": 5, "end": 4, "interval": 1}, "schedule.end=4 lies before"),
        (("window",), {"kind": "window", "l1": 2, "l2": 1}, "schedule.l2=1 lies before schedule.l1=2"),
        (("cuts",), {"kind": "cuts", "cuts": [1, 1]}, r"layers must rise, say schedule.cuts=\[1\]"),
        (("first",), SEVERAL, "this schedule offers the kinds k, window, none, but reducer=x takes first: choose"),
        (("k",), SEVERAL | {"k": 3}, "schedule.k=3 is not allowed: this schedule has several kinds, say schedule.k.k"),
        (("k",), SEVERAL | {"k": {"l": 3}}, "unknown option 'l' of schedule"),
    ],
)  # fmt: skip
def test_what_is_refused(kinds: tuple[str, ...], node: dict[str, Any], said: str) -> None:
    with pytest.raises(WinnowError, match=said):
        choose_schedule("x", kinds, node)


def test_a_class_of_ones_own_does_not_say_its_kind() -> None:
    with pytest.raises(
        WinnowError,
        match=r"^reducer=custom does not say which kind of schedule .*: choose one of schedule=cuts, .*schedule=k,",
    ):
        choose_schedule("custom", ("k",), SEVERAL)


@pytest.mark.parametrize(("depth", "scaled"), [(None, False), (28, False), (24, False), (23, True), (2, True)])
def test_a_default_that_the_llm_is_too_shallow_for_is_scaled(depth: int | None, scaled: bool) -> None:
    assert choose_schedule("x", ("first",), FIRST, depth) == {
        "kind": "first", "layers": 24, "of": 28 if scaled else None,
    }  # fmt: skip


def test_a_number_that_was_said_is_never_scaled() -> None:
    said = choose_schedule("x", ("first",), FIRST | {"layers": 30}, 4)
    assert said == {"kind": "first", "layers": 30, "of": None}
