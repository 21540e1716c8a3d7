"""What all rows share goes into the caption, and what no page is wide enough for below."""

from typing import Any

import pytest

from winnow.harness.results.tables.folded import PAGE, keys_of, sheets_of

ROWS = [
    {"model": "m", "reducer": reducer, "ratio": ratio, "seed": seed, "empty": "", "n": "8", "run": f"r{number}"}
    for number, (reducer, ratio, seed) in enumerate([("fastv", "0.5", "0"), ("fastv", "0.5", "1"), ("vtw", "0.5", "0")])
]


@pytest.mark.parametrize(
    ("rows", "keys"),
    [
        ([], []), (ROWS[::2], ["reducer", "ratio"]), (ROWS[:2], ["reducer", "ratio", "seed"]),
        ([ROWS[0], ROWS[0] | {"run": "r9"}], ["reducer", "ratio", "run"]),
        ([ROWS[0], ROWS[0] | {"n": "9", "run": "r0"}], ["reducer", "ratio", "n"]),
        ([ROWS[0] | {"task": "q"}, ROWS[2] | {"task": "p"}], ["task", "reducer", "ratio"]),
        ([ROWS[0], ROWS[0] | {"model": "o", "run": "r9"}], ["reducer", "ratio", "model"]),
    ],
)  # fmt: skip
def test_rows_are_told_apart_by_no_more_columns_than_it_takes(rows: Any, keys: list[str]) -> None:
    assert keys_of(rows) == keys


def cells(sheet: Any) -> list[tuple[str, list[str]]]:
    ((heading, lines),) = sheet.groups
    assert heading == ""
    return [(label, [cell.ours for cell in row]) for label, row in lines]


def test_what_all_rows_share_is_said_once() -> None:
    (found,) = sheets_of(ROWS, "Runs", "html")
    assert found.title == "Runs; in all rows: model m, ratio 0.5, n 8"
    assert found.first == "reducer" and found.columns == ["seed", "run"] and list(found.left) == ["run"]
    assert cells(found) == [("fastv", ["0", "r0"]), ("fastv", ["1", "r1"]), ("vtw", ["0", "r2"])]
    (alone,) = sheets_of(ROWS[:1], "Runs", "html")
    assert alone.title == "Runs" and alone.first == "model" and len(alone.columns) == 5


def test_the_first_key_names_the_rows_even_if_it_is_shared() -> None:
    (found,) = sheets_of(ROWS[:2], "Runs", "latex")
    assert found.first == "reducer" and "reducer" not in found.title and cells(found)[0][0] == "fastv"


def test_columns_that_no_page_holds_follow_below_with_the_keys() -> None:
    wide = [row | {f"column {n}": f"{row['run']} {n} {'x' * 20}" for n in range(6)} for row in ROWS]
    several = sheets_of(wide, "Runs", "latex")
    assert len(several) > 1 and len(sheets_of(wide, "Runs", "html")) == 1
    assert [sheet.title.rpartition(" (")[2] for sheet in several] == [
        f"{n} of {len(several)})" for n in range(1, len(several) + 1)
    ]
    for sheet in several:
        assert sheet.first == "reducer" and len(cells(sheet)) == 3
        assert (
            sum(max(len(text) for text in column) for column in zip(*(row for _, row in cells(sheet)), strict=True))
            < PAGE
        )
    shown = [name for sheet in several for name in sheet.columns if name.startswith("column")]
    assert shown == [f"column {n}" for n in range(6)]
