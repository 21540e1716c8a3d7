"""A document that kills the process which works on it: the others are answered once, and it alone is marked."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from runs import counted, result_of, samples_of

from winnow.harness.common.exits import INCOMPLETE, OK
from winnow.harness.run import answer, journal
from winnow.harness.run.record import from_line
from winnow.harness.run.stop import Stop
from winnow.harness.sweep.manifest import Manifest
from winnow.harness.sweep.plan import plan
from winnow.harness.sweep.state import Watch, counts
from winnow.harness.sweep.work import work

ROOT = Path(__file__).resolve().parents[3]
POISON = """
import os, signal
from dataclasses import dataclass
from pathlib import Path
from winnow.reducers.core.base import Scorer

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Poison(Scorer):
    def score(self, view):
        if self.ratio == 0.5 and view.layout.key.endswith("pico_video/5") and not (HERE / "healed").exists():
            with (HERE / "deaths").open("a") as file:
                file.write("died\\n")
            os.kill(os.getpid(), signal.SIGKILL)
        return -view.visual
"""
WORDS = ("reducer=custom", "reducer.target=poison:Poison", "ratio=0.5,0.25", "schedule=k", "limit=12", "batch_size=4")


@pytest.fixture
def planned(tmp_path: Path, benchmark: Path, monkeypatch: pytest.MonkeyPatch) -> Manifest:
    """Two cells of 12 documents; in one of them the sixth document kills."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "poison.py").write_text(POISON)
    monkeypatch.syspath_prepend(tmp_path / "code")
    monkeypatch.delitem(sys.modules, "poison", raising=False)
    monkeypatch.setenv("WINNOW_CACHE", str(benchmark))
    made = plan([*WORDS, f"results={tmp_path / 'runs'}"])
    made.save()
    return made


def deaths(planned: Manifest) -> int:
    return (planned.results.parent / "code" / "deaths").read_text().count("died")


def go(planned: Manifest) -> int:
    path = os.pathsep.join([str(planned.results.parent / "code"), str(ROOT), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "winnow.harness.cli.main", "run", str(planned.path), "--workers", "2", "--trust"]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    print(done.stderr)
    return done.returncode


@pytest.mark.faults
@pytest.mark.timeout(600)
def test_document_that_kills_is_marked_and_the_run_goes_on(planned: Manifest) -> None:
    bad, good = (planned.results / cell.id for cell in planned.cells())
    assert go(planned) == INCOMPLETE
    assert deaths(planned) == 4  # its batch twice, and twice alone
    assert counts(Watch(planned).look()) == {"finished": 1, "running": 0, "pending": 0, "failed": 1}
    assert result_of(good)["failed"] == 0 and result_of(bad)["failed"] == 1
    (task,) = result_of(bad)["tasks"]
    assert task["reasons"] == {"4 processes died on this document": 1}
    written = [line for path in (bad / "journal").glob("*.jsonl") for line in path.read_bytes().split(b"\n")[:-1]]
    lines = [from_line(line.partition(b" ")[2]) for line in written]
    answers = Counter(row.doc_id for row in lines if row.status == "ok")
    print(
        f"{deaths(planned)} processes died; {len(answers)} of 12 documents answered, {max(answers.values())} time each"
    )
    assert answers == Counter(set(range(12)) - {5})

    assert go(planned) == INCOMPLETE and deaths(planned) == 4  # not tried again by itself
    retry(planned)
    assert go(planned) == INCOMPLETE and deaths(planned) == 5  # one more try
    retry(planned)
    (planned.results.parent / "code" / "healed").touch()
    assert go(planned) == OK and deaths(planned) == 5
    assert result_of(bad)["failed"] == 0 and not (bad / "journal").exists()


def retry(planned: Manifest) -> None:
    from winnow.harness.sweep.status import forget_some

    assert list(forget_some(planned, True, False, False))[-1] == "1 cell will be run again"


def test_suspects_are_taken_alone_and_one_of_too_many_deaths_not_at_all(
    planned: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    (planned.results.parent / "code" / "healed").touch()
    bad, good = (planned.results / cell.id for cell in planned.cells())
    alone = [("pico_video", 5)]
    first, second, third = ([("pico_video", doc) for doc in range(start, start + 4)] for start in (0, 4, 8))
    dead = [journal.Journal(bad / "journal").begun(keys) for keys in (first, second, second, alone, alone, third)]
    for context in dead:
        context.__enter__()
    sizes = counted(monkeypatch, answer, "answer")
    assert work(planned, 0, 1, Stop(), False, 1) == INCOMPLETE
    assert Counter(len(call[2].documents) for call in sizes) == {4: 5, 1: 3}
    assert result_of(good)["failed"] == 0 and result_of(bad)["failed"] == 1
    assert [row["doc_id"] for row in samples_of(bad) if row["reason"] == "4 processes died on this document"] == [5]


def test_notes_stay_only_if_the_process_dies(tmp_path: Path) -> None:
    pair, one = [("t", 1), ("t", 2)], [("t", 2)]
    dead = [journal.Journal(tmp_path).begun(keys) for keys in (pair, one, one, one)]
    for context in dead:
        context.__enter__()
    ours = journal.Journal(tmp_path)
    with pytest.raises(KeyError), ours.begun([("t", 3)]):
        raise KeyError
    (tmp_path / "00009-torn.begun").write_text('[["t", ')
    assert journal.deaths(tmp_path) == {("t", 1): (1, 0), ("t", 2): (1, 3)}
    ours.spare(("t", 2))
    assert journal.deaths(tmp_path) == {("t", 1): (1, 0), ("t", 2): (1, 2)}
