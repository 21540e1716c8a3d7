"""Where cells stand, from what lies in their folders: a table of files."""

import json
from pathlib import Path
from typing import Any

import pytest
from planned import answer, fail, finish, sweep

from winnow.harness.run.claim import Claim, _identity, part_name
from winnow.harness.sweep.manifest import load
from winnow.harness.sweep.state import (
    State,
    Watch,
    counts,
    duration,
    holders,
    number,
    reason,
    seconds_left,
    state_of,
    weigh,
)
from winnow.harness.sweep.status import describe, standing
from winnow.reducers.core.errors import WinnowError

TABLE = {
    (): "pending",
    ("answer",): "pending",
    ("fail",): "failed",
    ("finish",): "finished",
    ("claim",): "running",
    ("claim", "answer"): "running",
    ("claim", "fail"): "running",
    ("part",): "running",
    ("fail", "answer"): "failed",
    ("finish", "fail"): "finished",
    ("finish", "claim"): "finished",
    ("finish", "answer"): "finished",
}


@pytest.mark.parametrize("made", TABLE)
def test_what_a_folder_holds_says_where_its_cell_stands(tmp_path: Path, made: tuple[str, ...]) -> None:
    planned = sweep(tmp_path, "a")
    folder, held = planned.results / "a", list[Claim]()
    for what in made:
        if what in ("claim", "part"):
            folder.mkdir(parents=True, exist_ok=True)
            held.append(Claim(folder, "claim" if what == "claim" else part_name(1, 2)))
        else:
            {"answer": lambda: answer(planned, "a", 3), "fail": lambda: fail(planned, "a"),
             "finish": lambda: finish(planned, "a")}[what]()  # fmt: skip
    found = state_of(next(planned.cells()), planned.results)
    assert found.kind == TABLE[made]
    assert found.answered == (3 if "answer" in made and found.kind in ("pending", "running") else 0)
    assert found.reason == ("broken" if found.kind == "failed" else "")
    for claim in held:
        claim.release()
    if "fail" in made and "finish" not in made:
        assert state_of(next(planned.cells()), planned.results).kind == "failed"


def test_a_cell_whose_worker_died_is_pending(tmp_path: Path) -> None:
    planned = sweep(tmp_path, "a")
    (answer(planned, "a", 3) / "claim.000001").write_text(json.dumps(_identity() | {"started": "0"}))
    found = state_of(next(planned.cells()), planned.results)
    assert (found.kind, found.answered) == ("pending", 3)


def test_a_changed_result_is_no_finished_one(tmp_path: Path) -> None:
    planned = sweep(tmp_path, "a")
    (finish(planned, "a") / "result.json").write_text("{}")
    assert state_of(next(planned.cells()), planned.results).kind == "pending"


def test_reasons_that_cannot_be_read(tmp_path: Path) -> None:
    planned = sweep(tmp_path, "a")
    folder = fail(planned, "a", "why")
    assert reason(folder) == "why"
    (folder / "FAILED").write_text("{}")
    assert reason(folder) == f"{folder / 'FAILED'} is damaged"
    (folder / "FAILED").unlink()
    assert reason(folder) == ""


def test_a_watch_looks_again_at_all_but_finished_cells(tmp_path: Path) -> None:
    planned = sweep(tmp_path, "a", "b")
    watch = Watch(planned)
    finish(planned, "a")
    fail(planned, "b")
    assert [state.kind for state in watch.look()] == ["finished", "failed"]
    (planned.results / "a" / "DONE").unlink()
    (planned.results / "b" / "FAILED").unlink()
    assert [state.kind for state in watch.look()] == ["finished", "pending"]


def test_work_is_weighed_by_seconds_and_documents(tmp_path: Path) -> None:
    first, second, third, fourth = sweep(tmp_path, *"abcd", seconds=10.0, documents=8).cells()
    states = [
        State(first, "finished"),
        State(second, "failed"),
        State(third, "running", 2),
        State(fourth, "pending", 99),
    ]
    # 10, 10, a quarter of 10, and no more than 10.
    assert weigh(states) == (32.5, 7.5) and seconds_left(states, 2) == 3.75
    assert seconds_left(states, 0) is None and weigh([]) == (0, 0)
    assert counts(states) == {"finished": 1, "running": 1, "pending": 1, "failed": 1}
    plain = [
        State(one, kind) for one, kind in zip(sweep(tmp_path, *"ab").cells(), ("finished", "running"), strict=True)
    ]  # type: ignore[arg-type]
    assert weigh(plain) == (1, 1) and seconds_left(plain, 1) is None


def test_holders_are_processes_not_claims(tmp_path: Path) -> None:
    planned = sweep(tmp_path, "a", "b", "c")
    claims = [Claim(planned.results / name) for name in "ab"]
    states = [state_of(cell, planned.results) for cell in planned.cells()]
    assert holders(states, planned.results) == 1
    for claim in claims:
        claim.release()
    assert holders([state_of(cell, planned.results) for cell in planned.cells()], planned.results) == 0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59, "59 s"), (60, "1 min"), (5399, "90 min"), (5400, "1.5 h"), (36000, "10.0 h")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_numbers_and_their_nouns() -> None:
    assert [number(count, "cell") for count in (0, 1, 2)] == ["0 cells", "1 cell", "2 cells"]


def test_what_lies_where_a_run_should_stops_no_status(tmp_path: Path) -> None:
    planned = sweep(tmp_path, "a", "b", "c", documents=4)
    (planned.results / "a").parent.mkdir(parents=True)
    (planned.results / "a").write_text("no folder")
    (planned.results / "b" / "FAILED").mkdir(parents=True)
    segments = answer(planned, "c", 2) / "journal"
    (segments / "00001-a.jsonl").mkdir()
    (segments / "00002-a.jsonl").write_bytes(b"\xff\0\n" * 9)
    a, b, c = Watch(planned).look()
    assert (a.kind, b.kind, b.reason) == ("pending", "failed", f"{planned.results / 'b' / 'FAILED'} is damaged")
    assert (c.kind, c.answered) == ("pending", 2)
    assert len(standing(planned, True)[0].splitlines()) == 4


def test_what_others_wrote_forges_no_line(tmp_path: Path) -> None:
    planned = sweep(tmp_path, "0123456789ab")
    folder = fail(planned, "0123456789ab", "\x1b]0;x\x07bad\nfinished  aaaaaaaaaaaa  fastv")
    assert reason(folder) == r"\x1b]0;x\x07bad\nfinished  aaaaaaaaaaaa  fastv"
    planned.save()
    plain = json.loads(planned.path.read_text())
    plain["groups"][0]["cells"][0] |= {"label": "\x1b[31mred\nline", "kept": "\x1b"}
    plain["basis"] = "\x1b"
    planned.path.write_text(json.dumps(plain))
    read = load(planned.path)
    text = standing(read, True)[0] + describe(read, True)
    assert "\x1b" not in text and r"\x1b[31mred\nline" in text and len(text.splitlines()) == 4


@pytest.mark.parametrize(
    "change",
    [
        {"results": "/x\0y"}, {"results": "/" + "x" * 9999}, {"results": 3}, {"cell": {"method": "x"}},
        {"seconds": "x"}, {"documents": "x"}, {"label": 3}, {"kept": [1]}, {"id": 3},
    ],
)  # fmt: skip
def test_a_damaged_manifest_is_one_line(tmp_path: Path, change: dict[str, Any]) -> None:
    planned = sweep(tmp_path, "0123456789ab")
    planned.save()
    plain = json.loads(planned.path.read_text())
    if "results" in change:
        plain |= change
    else:
        shared = plain["groups"][0]["shared"]
        plain["groups"][0]["cells"][0] |= change
        shared.pop("method" if "cell" in change else "", None)
    planned.path.write_text(json.dumps(plain))
    with pytest.raises(WinnowError, match=r"is damaged \(.*\): make it again with `winnow plan`"):
        load(planned.path)
