"""Reasons why documents failed, put together."""

import pytest

from winnow.harness.data.faults import Fault, counted, grouped


def test_equal_reasons_of_other_files_are_one_the_most_frequent_first() -> None:
    reasons = [(0, "out of memory"), (1, "/data/a b.mp4 has no frame"), (2, "/data/c.webm has no frame"), (5, "late")]
    assert grouped(reasons) == [
        Fault("has no frame", [(1, "/data/a b.mp4"), (2, "/data/c.webm")]), Fault("out of memory", [(0, "")]),
        Fault("late", [(5, "")]),
    ]  # fmt: skip
    assert grouped([]) == []


@pytest.mark.parametrize(
    ("reason", "plain", "file"),
    [
        ("cannot read /a/b.mp4: moov atom not found", "cannot read : moov atom not found", "/a/b.mp4"),
        ("(/a/b.mp4) is cut off", "() is cut off", "/a/b.mp4"),
        ("needs 1/2 of all", "needs 1/2 of all", ""), ("/no/ending here", "/no/ending here", ""),
        ("see ./a/b.mp4", "see ./a/b.mp4", ""), ("/a.x", "/a.x", ""), ("/a.toolong", "/a.toolong", ""),
        ("two\n lines", "two lines", ""),
    ],
)  # fmt: skip
def test_the_file_of_a_reason_is_its_whole_path_with_an_ending(reason: str, plain: str, file: str) -> None:
    assert grouped([(7, reason)]) == [Fault(plain, [(7, file)])]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ([""], "late"), (["a"], "late [document 0 of a]"),
        (["a", "b", "c"], "late [document 0 of a, document 1 of b, document 2 of c]"),
        (["a", "b", "c", "d", "e"], "late [document 0 of a, document 1 of b, document 2 of c, 2 more]"),
        (["", "b", "", "d"], "late [document 1 of b, 1 more]"), (["", "", "", "d"], "late"),
    ],
)  # fmt: skip
def test_three_documents_are_named(files: list[str], said: str) -> None:
    assert str(Fault("late", [*enumerate(files)])) == said


def test_a_result_tells_the_five_most_frequent_reasons() -> None:
    reasons = [(number, f"reason {kind}") for kind in range(7) for number in range(kind + 1)]
    assert counted(reasons) == {f"reason {kind}": kind + 1 for kind in (6, 5, 4, 3, 2)}
