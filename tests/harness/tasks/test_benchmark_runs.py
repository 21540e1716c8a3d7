"""Benchmarks end to end through `run.py`, offline, on their miniatures."""

import json
from pathlib import Path

import pytest
from runs import Run, counted, only, result_of
from typer.testing import CliRunner

from winnow.harness.cli.main import app
from winnow.harness.config.choices import options
from winnow.harness.run import preparing

TINY = ("model=llava_ov", "model.weights=random", "model.scale=tiny", "model.frames=2", "model.dtype=float32")
SHORT = "+tasks.generation.max_new_tokens=4"
FEW = ("pope_splits", "mlvu_dev", "moviechat_breakpoint")
MANY = sorted(set(options("tasks")) - {"pico", *(f"pico_{m}{s}" for m in ("image", "video") for s in ("", "_dev"))})


@pytest.mark.parametrize("name", [n if n in FEW else pytest.param(n, marks=pytest.mark.full) for n in MANY])
def test_on_pico(run: Run, results: Path, fixtures: Path, name: str) -> None:
    ran = run(f"tasks={name}", f"tasks.data={fixtures}", "reducer=fastv", "ratio=0.5", "schedule=pico")
    assert ran.code == 0, ran.err
    result = result_of(only(results))
    assert result["failed"] == 0 and result["status"] == "complete"
    for task in result["tasks"]:
        assert task["mean"] is not None or (only(results) / task["file"]).is_file()
        assert task["visual_tokens"]["entrance"] > task["visual_tokens"]["last"]


@pytest.mark.parametrize("name", ["mme", pytest.param("benchmarks", marks=pytest.mark.full)])
def test_on_a_tiny_llava_onevision(run: Run, results: Path, fixtures: Path, name: str) -> None:
    words = (*TINY, f"tasks={name}", f"tasks.data={fixtures}", SHORT, "limit=2", "batch_size=2")
    ran = run(*words)
    assert ran.code == 0, ran.err
    assert result_of(only(results))["failed"] == 0


def test_group_of_tasks_is_one_column_with_its_mean(run: Run, results: Path, fixtures: Path) -> None:
    ran = run("-m", "reducer=none,blind", "tasks=pope_splits", f"tasks.data={fixtures}")
    assert ran.code == 0
    assert "pope_splits" in ran.out and "pope_adv" not in ran.out.split("Shares of")[0]
    for path in results.glob("*/result.json"):
        result = json.loads(path.read_text())
        figures = [task["mean"] for task in result["tasks"]]
        assert result["means"]["pope_splits"]["mean"] == pytest.approx(sum(figures) / 3)


def test_sweep_decodes_and_encodes_each_batch_once(run: Run, fixtures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the number of methods: those that act behind the tower share its features."""
    decodes = counted(monkeypatch, preparing, "make_prompt")
    reducers = ("reducer=none,random,fastv,vas", "ratio=0.5,0.25", "schedule=pico")
    ran = run("-m", *reducers, "tasks=mlvu_dev", f"tasks.data={fixtures}", "batch_size=3")
    assert ran.code == 0 and len(decodes) == 8
    assert "passes of the vision tower: 3, spared: 18" in ran.out


def test_questions_about_one_video_share_its_pass_through_the_tower(run: Run, fixtures: Path) -> None:
    """Six questions about three videos, one by one; what acts in the tower has passes of its own."""
    reducers = ("reducer=none,fastv,prumerge", "ratio=0.5", "schedule=pico")
    ran = run("-m", *reducers, "tasks=videomme", f"tasks.data={fixtures}", "batch_size=1")
    assert ran.code == 0 and "passes of the vision tower: 3, spared: 9" in ran.out


def figures(results: Path) -> list[str]:
    """Lines of `winnow figures` of the one run that is stored."""
    words = ["figures", only(results).name, "--results", str(results), "--format", "csv"]
    return CliRunner().invoke(app, words, catch_exceptions=False).stdout.splitlines()


def test_figures_of_a_run(run: Run, results: Path, fixtures: Path) -> None:
    """Break-down, lmms-eval's own figure, and what its code and the one reader understood are a command away."""
    assert run("tasks=videomme", f"tasks.data={fixtures}").code == 0
    lines = figures(results)
    assert lines[0] == "task,figure,n,unread %,disagree %,lmms-eval,visual tokens"
    assert lines[1] == "videomme,33.3 ± 30.2,6,0.0,0.0,33.3,200.0"  # 6 questions about 3 videos, as sure as 3
    assert lines[2] == "  by the one reader of options,33.3 ± 30.2,6,0.0,,,"
    assert [line.split(",")[0] for line in lines[3:]] == ["  duration short", "  duration medium", "  duration long"]


def test_figures_of_a_run_that_names_no_option(run: Run, results: Path, fixtures: Path) -> None:
    assert run("tasks=videomme", "model.weights=random", f"tasks.data={fixtures}").code == 0
    lines = figures(results)
    assert lines[1] == "videomme,0.0 ± 28.1 Failed,6,100.0,0.0,0.0,200.0"
    assert lines[2] == "  by the one reader of options,0.0 ± 28.1,6,100.0,,,"


def test_many_tasks_are_a_row_of_the_method_and_then_rows_of_their_own(run: Run, fixtures: Path) -> None:
    names = "[pope_adv,mme,gqa,textvqa_val,scienceqa_img]"
    out = run("tasks=gqa", f"tasks.tasks={names}", f"tasks.data={fixtures}").out
    begun = [line.split()[0] for line in out.splitlines() if line.split()[:1] and " pico " in line]
    assert begun[0] == "pico" and [word for word in begun if word != "pico"] == names[1:-1].split(",")


def test_a_later_comparison_leaves_a_run_whole(run: Run, results: Path) -> None:
    from winnow.harness.run.store import damage

    for reducer in ("fastv", "none"):
        run(f"reducer={reducer}", "schedule=pico" if reducer == "fastv" else "schedule=none", "limit=2")
    assert run("-m", "reducer=fastv,none", "schedule=pico", "limit=2").out.count("· stored") == 2
    found = [path.parent for path in results.glob("*/DONE")]
    assert sum("drop" in result_of(folder) for folder in found) == 1
    assert not [name for folder in found for name in damage(folder)]
