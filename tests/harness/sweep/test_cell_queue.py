"""Which cells a worker takes: free ones from its own place on, looked at again once they are claimed."""

from contextlib import ExitStack
from pathlib import Path

import pytest
from planned import fail, finish, sweep

from winnow.harness.run.claim import Claim
from winnow.harness.run.store import part_mark
from winnow.harness.sweep import cell_queue
from winnow.harness.sweep.cell_queue import LARGEST, CellQueue
from winnow.harness.sweep.manifest import Manifest

IDS = [f"{i:02}" for i in range(40)]


def taken(manifest: Manifest, index: int = 0, workers: int = 1) -> list[str]:
    with ExitStack() as stack:
        return [*CellQueue(manifest, index, workers).take(manifest.groups[0], stack)]


def test_a_worker_begins_at_its_own_place(tmp_path: Path) -> None:
    planned = sweep(tmp_path, *IDS)
    assert [taken(planned, index, 4)[0] for index in range(4)] == ["00", "10", "20", "30"]
    queue = CellQueue(sweep(tmp_path, "a", "b", "c"), 2, 3)
    assert [cell.id for cell in queue._turned(queue.groups()[0])] == ["c", "a", "b"]


@pytest.mark.parametrize(
    ("cells", "workers", "wanted"), [(40, 1, LARGEST), (40, 4, 5), (9, 1, 5), (3, 4, 1), (1, 1, 1)]
)
def test_it_takes_half_of_its_share_and_never_too_many(tmp_path: Path, cells: int, workers: int, wanted: int) -> None:
    assert len(taken(sweep(tmp_path, *IDS[:cells]), 0, workers)) == wanted


def test_what_is_finished_failed_refused_or_held_is_left_alone(tmp_path: Path) -> None:
    planned = sweep(tmp_path, "done", "failed", "held", "refused", "free")
    finish(planned, "done")
    fail(planned, "failed")
    queue = CellQueue(planned, 0, 1)
    queue.refuse(planned.groups[0][3])
    with Claim(planned.results / "held"), ExitStack() as stack:
        assert [*queue.take(planned.groups[0], stack)] == ["free"]
    assert queue.left() and queue.failed() and queue.refused == {"refused"}


def test_nothing_is_left_once_all_are_final(tmp_path: Path) -> None:
    planned = sweep(tmp_path, "a", "b")
    queue = CellQueue(planned, 0, 1)
    finish(planned, "a")
    assert queue.left() and not queue.failed()
    fail(planned, "b")
    assert not queue.left() and queue.failed()


@pytest.mark.parametrize("ended", [finish, fail])
def test_a_cell_that_ended_before_it_was_claimed_is_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ended: object
) -> None:
    """Another worker ends it between this one's look and its claim."""
    planned = sweep(tmp_path, "a", "b")

    class Late(Claim):
        def __init__(self, folder: Path, name: str) -> None:
            if folder.name == "a":
                ended(planned, "a")  # type: ignore[operator]
            super().__init__(folder, name)

    monkeypatch.setattr(cell_queue, "Claim", Late)
    queue = CellQueue(planned, 0, 1)
    with ExitStack() as stack:
        assert [*queue.take(planned.groups[0], stack)] == ["b"]
        assert not list(planned.results.glob("a/claim*")) and queue.closed(planned.groups[0][0])


def test_parts_are_taken_in_turn_and_the_whole_at_last(tmp_path: Path) -> None:
    planned = sweep(tmp_path, "a")
    (cell,) = planned.groups[0]
    folder = planned.results / "a"
    folder.joinpath("journal").mkdir(parents=True)
    first, second = CellQueue(planned, 0, 2, parts=4), CellQueue(planned, 1, 2, parts=4)
    with ExitStack() as stack:
        units = [queue.take_part(cell, stack) for queue in (first, second, first, first)]
        assert [unit and unit[1] for unit in units] == [(0, 4), (2, 4), (1, 4), (3, 4)]
        assert first.take_part(cell, stack) is None
    part_mark(folder, 0, 4).touch()
    with ExitStack() as stack:
        again = first.take_part(cell, stack)
        assert again is not None and again[1] == (1, 4)
    for index in range(4):
        part_mark(folder, index, 4).touch()
    with ExitStack() as stack:
        whole = second.take_part(cell, stack)
        assert whole is not None and whole[1] == (0, 1) and whole[0].name == "claim"
        assert first.take_part(cell, stack) is None


def test_a_part_that_was_answered_before_it_was_claimed_is_not_answered_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = sweep(tmp_path, "a")
    folder = planned.results / "a"
    folder.joinpath("journal").mkdir(parents=True)

    class Late(Claim):
        def __init__(self, where: Path, name: str) -> None:
            if name == "claim-0-of-2":
                part_mark(folder, 0, 2).touch()
            super().__init__(where, name)

    monkeypatch.setattr(cell_queue, "Claim", Late)
    with ExitStack() as stack:
        found = CellQueue(planned, 0, 1, parts=2).take_part(planned.groups[0][0], stack)
        assert found is not None and found[1] == (1, 2)
