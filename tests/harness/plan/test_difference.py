"""What two runs' identities say of their difference."""

from dataclasses import replace

from winnow.harness.config.cell import Method
from winnow.harness.plan.difference import differences, why
from winnow.harness.plan.identity import _method, method_inputs


def test_leaves_that_differ_are_named_by_their_path_in_order() -> None:
    one = {"b": {"x": 1, "y": [1, 2]}, "a": 1, "same": {"z": (1, 2)}, 3: "three"}
    other = {"b": {"x": 2, "y": (1, 3)}, "c": None, "same": {"z": [1, 2]}, 3: "3"}
    assert [*differences(one, other)] == [
        ("3", "three", "3"), ("a", 1, "(nothing)"), ("b.x", 1, 2), ("b.y", [1, 2], (1, 3)), ("c", "(nothing)", None),
    ]  # fmt: skip
    assert [*differences(one, one)] == [] == [*differences({"k": ([1], (2,))}, {"k": [[1], [2]]})]
    assert [*differences({"k": {}}, {"k": 1})] == [("k", {}, 1)]


def test_each_layer_has_a_heading_where_something_differs() -> None:
    ours = {"answers": {"seed": 0}, "score": {"metric": "a"}, "report": {"x": 1}}
    theirs = {"answers": {"seed": 1}, "score": {"metric": "a"}, "report": {"x": 2}}
    assert why(ours, theirs) == [
        "new answers:", "  seed: 0 | 1", "a new report of the same answers:", "  x: 1 | 2",
    ]  # fmt: skip
    assert why(ours, ours) == [] and why(ours, {**ours, "score": {}}) == [
        "a new score of the same answers:", "  metric: a | (nothing)",
    ]  # fmt: skip


def test_long_values_are_cut_at_sixty_letters() -> None:
    short, long = 60 * "s", 61 * "l"
    assert why({"answers": {"k": short}}, {"answers": {"k": long}})[1] == f"  k: {short} | {57 * 'l'}..."


def test_the_parts_of_a_method_are_part_of_its_name() -> None:
    fastv = Method("fastv", "winnow.reducers.fastv:FastV", {"rows": "last"}, {"kind": "k", "k": 2}, 0.5, True)
    both = Method("compose", "winnow.reducers.compose:Compose", {}, parts=(fastv, replace(fastv, ratio=0.25)))
    told, other = (method_inputs(replace(both, parts=parts)) for parts in (both.parts, both.parts[::-1]))
    assert [part["ratio"] for part in told["parts"]] == [0.5, 0.25] and told != other
    assert [part["ratio"] for part in _method(both)["parts"]] == [0.5, 0.25]
    assert "parts" not in method_inputs(fastv) and "parts" not in _method(fastv)
