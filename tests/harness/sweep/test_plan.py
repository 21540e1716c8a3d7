"""What of a sweep cannot run is told beside what can, and the plan goes on."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cells import by_hydra

from winnow.harness.config.expand import expand
from winnow.harness.sweep import plan as planning
from winnow.harness.sweep import status
from winnow.harness.sweep.cells import cells_of
from winnow.harness.sweep.slurm import script
from winnow.harness.sweep.status import describe
from winnow.reducers.core.errors import WinnowError


@pytest.fixture
def nameless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let runs be named without their documents, which take seconds."""

    def runs_of(cells: Any, fetch: bool) -> list[Any]:
        identity = SimpleNamespace(known=True, settings="", score="", report="")
        return [
            SimpleNamespace(cell=cell, id=f"{n:012x}", identity=identity, done=False) for n, cell in enumerate(cells)
        ]

    monkeypatch.setattr(planning, "runs_of", runs_of)


@pytest.mark.usefixtures("nameless")
def test_an_impossible_cell_is_told_and_the_others_are_planned(tmp_path: Path) -> None:
    words = ["reducer=fastv,vtw", "schedule.k=3,12", f"results={tmp_path}"]
    manifest = planning.plan(words, dry=True)
    assert [cell.label for cell in manifest.cells()] == ["fastv 0.5", "vtw"] and len(manifest.left) == 2
    said = describe(manifest, every=True)
    assert "cannot run: pico fastv 0.5, pico vtw: schedule.k=12 lies beyond the LLM's 8 layers" in said
    assert "keeps 68.8 % of the visual tokens (100 % at first, 50 % at last)" in said
    with pytest.raises(WinnowError, match=r"schedule\.k=12 lies beyond"):
        planning.plan(["reducer=fastv", "schedule.k=12,13", f"results={tmp_path}"], dry=True)


@pytest.mark.usefixtures("nameless")
def test_a_budget_shows_the_ratio_that_it_was_solved_to(tmp_path: Path) -> None:
    manifest = planning.plan(["reducer=fastv", "schedule=pico", "budget.mean=0.75", f"results={tmp_path}"], dry=True)
    (cell,) = manifest.cells()
    assert re.match(r"ratio 0\.3\d* \(planned 0\.7\d*\), 7\d.* % of the visual tokens", cell.kept)


def test_a_combination_that_composes_to_nothing_is_left_out() -> None:
    left: list[tuple[str, str]] = []
    found = cells_of(expand(["reducer=fastv,vas", "schedule=k", "ratio=0.5,0.25"]), left)
    assert [cell.method.name for cell in found] == ["fastv", "fastv"]
    assert [words for words, _ in left] == ["reducer=vas schedule=k ratio=0.5", "reducer=vas schedule=k ratio=0.25"]


@pytest.mark.parametrize("numbers", [(3,), (3, 5)])
def test_a_method_that_cannot_take_an_option_is_left_out_by_name(numbers: tuple[int, ...]) -> None:
    left: list[tuple[str, str]] = []
    found = cells_of(expand(["reducer=none,fastv,vas", f"schedule.k={','.join(map(str, numbers))}"]), left)
    assert [cell.method.schedule for cell in found] == [{"kind": "k", "k": k, "of": None} for k in numbers]
    assert [words for words, _ in left] == [f"reducer={one} schedule.k={k}" for one in ("none", "vas") for k in numbers]
    assert left[0][1].startswith("this method has no schedule that schedule.k could set: leave schedule.k out")
    assert "unknown option 'k' of schedule: choose " in left[-1][1]


def test_numbers_make_the_cells_that_whole_configurations_make() -> None:
    asked = expand(["reducer=random", "ratio=0.5,0.25", "seed=1", "limit=3,4", "schedule=k", "schedule.k=2,3"])
    fast, slow = cells_of(asked), [by_hydra(*job.words) for job in asked.jobs]
    assert fast == slow and len(fast) == 8
    with pytest.raises(WinnowError, match="limit=x is not allowed"):
        cells_of(expand(["limit=1,x"]))
    with pytest.raises(WinnowError, match=r"ratio=1\.5 is not allowed"):
        cells_of(expand(["reducer=fastv", "ratio=0.5,1.5"]))


@pytest.mark.usefixtures("nameless")
def test_what_sbatch_would_get_is_printed_and_nothing_sent(tmp_path: Path) -> None:
    manifest = planning.plan(["reducer=fastv,vtw", "ratio=0.5", f"results={tmp_path}"], dry=True)
    text = script(manifest, None, 16, 240, 2, {"partition": "gpu", "gres": "gpu:1", "setup": ["module load cuda"]})
    for line in (
        "--partition=gpu",
        "--array=0-3%4",
        "--gres=gpu:1",
        "--time=240",
        "module load cuda",
        "submitit.core._submit",
    ):
        assert line in text, line
    assert not list(tmp_path.rglob("*.pkl"))
    with pytest.raises(WinnowError, match="submitit does not take these options"):
        script(manifest, None, 16, 240, 1, {"nope": 1})


@pytest.mark.usefixtures("nameless")
def test_a_sweep_is_followed_until_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = planning.plan(["reducer=fastv", f"results={tmp_path}"], dry=True)
    looks = iter([["pending"], ["running"], ["finished"]])
    monkeypatch.setattr(status.Watch, "look", lambda self: [SimpleNamespace(kind=kind) for kind in next(looks)])
    monkeypatch.setattr(status, "standing", lambda manifest, every: ("0 of 1 cell", False))
    status.follow(manifest, False, 0.001)
    assert capsys.readouterr().out == "0 of 1 cell\n"
