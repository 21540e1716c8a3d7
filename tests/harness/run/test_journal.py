"""The journal keeps what was answered, and says where it is damaged."""

import multiprocessing
from pathlib import Path

import pytest

from winnow.harness.run import journal
from winnow.harness.run.fate import pack
from winnow.harness.run.record import Row, from_line, mean_shares
from winnow.reducers.core.errors import WinnowError


def row(doc_id: int, answer: str = "red", **more: object) -> Row:
    return Row("task", doc_id, "print", answer, **more)  # type: ignore[arg-type]


def test_row_survives_the_line() -> None:
    full = row(
        3, "a\u2028b\n\"c\" é", length=9, visual=4, tokens_per_layer=[9, 7], visual_per_layer=[4, 2],
        fate=pack([1, 0, 1, 0], [0, 0, 2, 2]), batch=4, seconds=0.25,
    )  # fmt: skip
    assert from_line(full.to_line()) == full
    assert b"\n" not in full.to_line()
    odd = row(0, "\0\x1b\n", fate=b"\n\x1be\x1bn\0\n\x1b")
    assert from_line(odd.to_line()) == odd and b"\n" not in odd.to_line()


@pytest.mark.parametrize("line", ["{", "[]", '{"task": "x"}', "null"])
def test_line_that_is_no_row(line: str) -> None:
    with pytest.raises((ValueError, TypeError)):
        from_line(line.encode())


@pytest.mark.parametrize(
    ("line", "how"),
    [
        (b'{"task": "t", "doc_id": 0, "doc": "y", "answer": "A", "last_layer": "eJw=", "anchor": "eJw="}', "without"),
        (journal.signed(b'{"task": "t", "doc_id": 0, "doc": "y", "anchor": "eJw=", "z": 1}'), "with anchor, z"),
    ],
)
def test_rows_of_another_version_are_no_damage(tmp_path: Path, line: bytes, how: str) -> None:
    """They are refused with the run's name, and stay as they are."""
    folder = tmp_path / "0123abcd" / "journal"
    journal.Journal(folder).append([row(1)])
    segment = folder / "00000-host-1-x.jsonl"
    segment.write_bytes(line + b"\n")
    with pytest.raises(WinnowError, match=rf"^run 0123abcd: another version of Winnow .*{how}.*: .*force=true"):
        journal.read(folder)
    assert segment.read_bytes() == line + b"\n"


def test_last_row_wins_over_all_segments(tmp_path: Path) -> None:
    first, second = journal.Journal(tmp_path), None
    first.append([row(0, "old"), row(1)])
    second = journal.Journal(tmp_path)
    second.append([row(0, "new")])
    assert {key[1]: value.answer for key, value in journal.read(tmp_path).items()} == {0: "new", 1: "red"}
    assert len(list(tmp_path.iterdir())) == 2


def test_half_written_last_line_is_ignored(tmp_path: Path) -> None:
    segment = journal.Journal(tmp_path)
    segment.append([row(0, fate=pack(range(40), [0] * 40)), row(1, "a\u2028b")])
    whole = segment.path.read_bytes()
    for cut in range(len(whole)):
        segment.path.write_bytes(whole[:cut])
        assert len(journal.read(tmp_path)) == whole[:cut].count(b"\n")


def test_any_flipped_bit_is_found_named_and_costs_one_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    segment = journal.Journal(tmp_path)
    segment.append([row(0), row(1, "blue", fate=pack([1, 0], [0, 0])), row(2)])
    whole = segment.path.read_bytes()
    first, second = whole.index(b"\n") + 1, whole.index(b"\n", whole.index(b"\n") + 1)
    for place in range(first, second):
        for bit in (0, 3, 7):
            flipped = bytearray(whole)
            flipped[place] ^= 1 << bit
            if b"\n" not in flipped[first:second]:
                segment.path.write_bytes(flipped)
                assert {key[1] for key in journal.read(tmp_path)} == {0, 2}
    assert f"1 damaged rows ({segment.path.name} line 2): their documents are answered again" in capsys.readouterr().err


def test_lost_bytes_in_the_middle_cost_no_other_row(tmp_path: Path) -> None:
    segment = journal.Journal(tmp_path)
    segment.append([row(0), row(1), row(2)])
    lines = segment.path.read_text().splitlines()
    lines[1] = lines[1][:20]
    segment.path.write_text("\n".join(lines) + "\n")
    assert {key[1] for key in journal.read(tmp_path)} == {0, 2}


def test_a_newer_damaged_row_does_not_hide_the_older_whole_one(tmp_path: Path) -> None:
    segment = journal.Journal(tmp_path)
    segment.append([row(0, "old")])
    segment.append([row(0, "new")])
    segment.path.write_bytes(segment.path.read_bytes().replace(b"new", b"now"))
    assert journal.read(tmp_path)["task", 0].answer == "old"


@pytest.mark.parametrize("name", ["x.jsonl", "00001-a (1).jsonl.bak", "1]-copy.jsonl"])
def test_foreign_files_do_not_stop_anybody(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("what is this")
    journal.Journal(tmp_path).append([row(0)])
    assert len(journal.read(tmp_path)) == 1


def test_no_journal_is_an_empty_one(tmp_path: Path) -> None:
    assert journal.read(tmp_path / "none") == {}


def write(folder: Path, worker: int) -> None:
    segment = journal.Journal(folder)
    for doc_id in range(worker, 40, 4):
        segment.append([row(doc_id, str(worker))])


def test_several_workers(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=write, args=(tmp_path, number)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    found = journal.read(tmp_path)
    assert {key[1]: value.answer for key, value in found.items()} == {i: str(i % 4) for i in range(40)}


def test_shares() -> None:
    half = row(0, visual=4, visual_per_layer=[4, 2, 0], tokens_per_layer=[5, 3, 1])
    text = row(1, visual=0, visual_per_layer=[0, 0, 0], tokens_per_layer=[5, 5, 5])
    failed = row(2, status="failed")
    assert half.shares == (1.0, 0.5, 0.0) and text.shares == (1.0, 1.0, 1.0)
    assert mean_shares([half, text, failed]) == (1.0, 0.75, 0.5)
    with pytest.raises(WinnowError, match="no document was answered"):
        mean_shares([failed])


def test_a_new_segment_comes_behind_all_others_whatever_is_missing_between(tmp_path: Path) -> None:
    """Segments are read by their numbers, and the last row wins: a number given twice could bring back an old row."""
    for number in ("00002", "00010"):
        (tmp_path / f"{number}-host-1-x.jsonl").write_bytes(b"")
    first, second = journal.Journal(tmp_path), None
    assert first.path.name.startswith("00011-")
    first.append([row(0, "old")])
    (tmp_path / "00002-host-1-x.jsonl").unlink()
    second = journal.Journal(tmp_path)
    second.append([row(0, "new")])
    assert second.path.name.startswith("00012-") and journal.read(tmp_path)["task", 0].answer == "new"
