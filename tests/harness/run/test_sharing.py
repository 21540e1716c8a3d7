"""Cells of a sweep share their prefills: the rows are those of cells that run alone, whatever happens on the way."""

import json
from collections import Counter
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from cells import cell
from runs import Run, counted

from winnow.harness.common.run_files import TRACES
from winnow.harness.plan.build import build_method
from winnow.harness.run import answer as answering
from winnow.harness.run import generate as generating
from winnow.harness.run import journal, sharing, traces
from winnow.harness.run.sharing import Sharing, out_of_memory
from winnow.harness.run.stop import Stop, StoppedError
from winnow.models.engine import Trunk

SWEEP = ("-m", "reducer=none,fastv,pdrop", "ratio=0.5,0.25", "schedule=pico", "limit=2", "batch_size=2")


def rows(results: Path) -> dict[str, list[dict[str, Any]]]:
    """What each run of a folder answered, without how long it took."""
    found = {}
    for path in sorted(results.glob("*/samples_*")):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        found[path.parent.name] = [{key: value for key, value in row.items() if key != "seconds"} for row in lines]
        sure = {row.doc_id: row for row in traces.read(path.parent / TRACES)}
        for row in found[path.parent.name]:
            one = sure[row["doc_id"]]
            assert one.logprob is not None
            row |= {"generated": one.generated, "cut": one.cut, "options": [round(x, 2) for x in one.options]}
            row["logprob"] = round(one.logprob, 2)
    return found


ALONE: dict[str, Any] = {}


@pytest.fixture
def alone(run: Run, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The rows of cells that share nothing, answered once in each process."""
    if not ALONE:
        folder = tmp_path_factory.mktemp("none")
        apart = run(*SWEEP, "share=none", f"results={folder}")
        assert apart.code == 0 and "shared prefills" not in apart.out
        ALONE.update(rows(folder))
    return ALONE


def test_rows_are_those_of_single_runs(
    run: Run, tmp_path: Path, alone: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = counted(monkeypatch, answering, "answer")
    shared = run(*SWEEP, f"results={tmp_path / 'trunk'}")
    assert shared.code == 0 and "layers of shared prefills: 20, spared: 20" in shared.out
    assert len(alone) == 5 and rows(tmp_path / "trunk") == alone
    assert len(told) == 5


@pytest.mark.parametrize(("share", "kept"), [("trunk", 2), ("all", 0)])
def test_a_stop_keeps_what_was_answered_and_the_rest_is_shared_anew(
    run: Run, results: Path, alone: dict[str, Any], monkeypatch: pytest.MonkeyPatch, share: str, kept: int
) -> None:
    asked: list[int] = []

    def third(self: Stop) -> None:
        asked.append(1)
        if len(asked) == 3:
            raise StoppedError("told to")

    with monkeypatch.context() as stopped:
        stopped.setattr(Stop, "raise_if_requested", third)
        with pytest.raises(StoppedError):
            run(*SWEEP, f"share={share}")
    assert len([path for path in results.glob("*/journal/*.jsonl") if path.stat().st_size]) == kept
    assert not list(results.glob("*/journal/*.begun"))
    both, folders = [("pico_video", 0), ("pico_video", 1)], results.glob("*/journal") if share == "all" else ()
    dead = [journal.Journal(folder).begun(both) for folder in folders for _ in range(2)]  # two processes die of them
    for context in dead:
        context.__enter__()
    told, single = counted(monkeypatch, answering, "answer_jointly"), counted(monkeypatch, answering, "answer")
    assert run(*SWEEP, f"share={share}").code == 0
    assert not told and len(single) == (3 if share == "trunk" else 10)  # suspects are taken one by one
    assert sorted(map(str, rows(results).values())) == sorted(map(str, alone.values()))


def test_without_memory_cells_go_on_one_by_one(
    run: Run, results: Path, alone: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = Trunk.begin

    def full(self: Trunk, *args: Any) -> Any:
        if len(self.waiting) < 4:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return begin(self, *args)

    monkeypatch.setattr(Trunk, "begin", full)
    ran = run(*SWEEP)
    assert ran.code == 0 and ran.err.count("share: out of memory, so that cells go on one by one") == 1
    assert rows(results) == alone


class Work:
    """A cell with its method, as far as sharing looks at it."""

    def __init__(self, *words: str) -> None:
        self.run = type("Run", (), {"cell": cell(*words)})
        self.built = build_method(self.run.cell)


LOADED: Any = type("Loaded", (), {"model": torch.nn.Linear(1, 1)})


def test_a_cell_that_chooses_while_it_decodes_decodes_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    works: list[Any] = [
        Work("reducer=dycoke", f"reducer.decode={which}", "schedule=pico_k", "share=all") for which in ("none", "code")
    ]
    shared = Sharing(works, LOADED, Counter())
    assert shared.joint and [shared.alone(work) for work in works] == [False, True]
    monkeypatch.setattr(answering, "answer_jointly", lambda *_: pytest.fail("it cannot decode with others"))
    assert answering._joint({works[1]: set()}, cast(Any, object()), Trunk([]), shared, Stop()) == {}


@pytest.mark.parametrize("more", [(), ("share=all",)])
def test_memory_cuts_a_group_into_trees(monkeypatch: pytest.MonkeyPatch, more: tuple[str, ...]) -> None:
    fastv = ("reducer=fastv", "schedule=pico_k", "batch_size=4", *more)
    works: list[Any] = [Work(*fastv, f"ratio={r}") for r in (0.1, 0.5)]
    works.insert(1, Work("reducer=none", "batch_size=4", *more))

    def groups(gigabytes: float) -> list[list[str]]:
        monkeypatch.setattr(sharing, "free_bytes", lambda _: gigabytes * sharing.GIGABYTE / sharing.PART)
        return [[work.run.cell.asked for work in group] for group in Sharing(works, LOADED, Counter()).groups(works)]

    assert groups(1) == [["", "0.5", "0.1"]]
    assert groups(0) == [[""], ["0.5"], ["0.1"]]
    assert (len(groups(0.004)) > 1) == bool(more)  # the caches of all, beside what is shared


def test_a_failure_ends_sharing_for_a_batch_and_lack_of_memory_for_good(capsys: pytest.CaptureFixture[str]) -> None:
    made, trunk = Sharing.__new__(Sharing), Trunk([])
    made.on = True
    made.failed(trunk, ValueError("a poisoned document"))
    assert trunk.closed and made.on and not capsys.readouterr().err
    made.failed(trunk, MemoryError())
    assert not made.on and "one by one" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "short"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory"), True),
        (MemoryError(), True),
        (RuntimeError("shapes differ"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_what_counts_as_no_memory(error: Exception, short: bool) -> None:
    assert out_of_memory(error) is short


def test_cells_that_decode_together_answer_as_single_runs(
    run: Run, results: Path, alone: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    told, single = counted(monkeypatch, answering, "answer_jointly"), counted(monkeypatch, answering, "answer")
    ran = run(*SWEEP, "share=all")
    assert ran.code == 0 and "layers of shared prefills: 20, spared: 20" in ran.out
    assert len(told) == 1 and not single
    found = rows(results)
    assert not found.keys() & alone.keys()  # other runs
    assert sorted(map(str, found.values())) == sorted(map(str, alone.values()))


def test_decoding_together_without_memory_goes_on_one_by_one(
    run: Run, results: Path, alone: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(generating, "finish", full)
    ran = run(*SWEEP, "share=all")
    assert ran.code == 0 and ran.err.count("share: out of memory, so that cells go on one by one") == 1
    assert sorted(map(str, rows(results).values())) == sorted(map(str, alone.values()))


def test_beams_cannot_decode_together(run: Run) -> None:
    ran = run(*SWEEP, "share=all", "+tasks.generation.num_beams=2")
    assert ran.code == 2
    assert ran.err.strip().splitlines()[-1].endswith("choose share=trunk") and "num_beams=2" in ran.err
