"""Whole runs of pico on its real videos: what they leave behind, share and refuse."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from runs import FASTV, Run, counted, only, result_of, samples_of

from winnow.harness.run import loaded as kept
from winnow.harness.run import preparing

ROOT = Path(__file__).resolve().parents[3]


def test_cell_leaves_a_complete_folder(
    run: Run, results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = run(*FASTV)
    assert ran.code == 0
    first = ran.out.splitlines()[0]
    assert first.startswith("pico · fastv ") and " at k=5 · pico_video · run " in first
    assert {"ratio=0.25", "select=highest", "positions=keep", "rows=last"} <= set(first.split())
    folder = only(results)
    files = {path.name for path in folder.iterdir()}
    assert files == {
        "DONE", "config.yaml", "env.json", "result.json", "samples_pico_video.jsonl", "scores.parquet", "traces.parquet"
    }  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]
    assert json.loads((folder / "env.json").read_text())["set_aside"] == {"do_sample": False, "max_new_tokens": 16}
    result = result_of(folder)
    assert result["shares"] == {"entrance": 1.0, "mean": pytest.approx(5 / 8 + 3 / 8 / 4), "last": 0.25}
    (task,) = result["tasks"]
    assert task["lmms_eval"] * 100 == pytest.approx(task["mean"])
    assert task["low"] <= task["mean"] <= task["high"] and task["documents"] == 8
    assert not [key for key in result if "second" in key or "time" in key]
    assert "wall clock" not in ran.out


def test_traces_tell_the_fate_of_every_visual_token(run: Run, results: Path) -> None:
    run(*FASTV)
    (first, *_), count = pq.read_table(only(results) / "traces.parquet").to_pylist(), 200
    assert first["visual"] == count == len(first["last_layer"]) == len(first["anchor"])
    assert first["visual_per_layer"] == [count] * 5 + [count // 4] * 3
    assert sorted(set(first["last_layer"])) == [4, 7] and first["last_layer"].count(7) == count // 4
    assert first["anchor"] == list(range(count))
    assert 1 < first["rank"] <= count // 4 and all(0 <= place < count for place in first["sinks"])


@pytest.mark.full
def test_a_second_question_is_asked_about_what_the_first_one_left(run: Run, results: Path) -> None:
    ran = run("-m", "reducer=fastv,none", "ratio=0.25", "schedule=pico", "stress.question=second", "limit=2")
    assert ran.code == 0 and "stress.question=second" in ran.out
    for path in results.glob("*/traces.parquet"):
        rows, result = pq.read_table(path).to_pylist(), result_of(path.parent)
        left = 50 if result["reducer"] == "fastv" else 200
        assert [(row["batch"], row["visual"], row["visual_per_layer"][-1]) for row in rows] == 2 * [(1, 200, left)]
        assert all(row["answer"] for row in rows) and result["stress"] == {"question": "second"}


def test_sweep_shares_model_and_documents(run: Run, results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loads, decodes = counted(monkeypatch, kept, "load"), counted(monkeypatch, preparing, "make_prompt")
    ran = run("-m", "reducer=none,fastv,random", "ratio=0.5,0.25", "schedule=pico")
    assert ran.code == 0
    assert (len(loads), len(decodes)) == (1, 8)
    assert len(list(results.glob("*/DONE"))) == 5
    assert "5 cells (0 stored before) in " in ran.out
    found = [result_of(path.parent) for path in results.glob("*/DONE")]
    assert sorted(r["reducer"] for r in found) == ["fastv", "fastv", "none", "random", "random"]
    assert all(("drop" in r) == (r["reducer"] != "none") for r in found)


def test_a_cell_answers_the_same_alone_and_in_a_sweep(run: Run, results: Path, tmp_path: Path) -> None:
    run("-m", "reducer=none,fastv,vas", "ratio=0.25", "schedule=pico")
    for path in list(results.glob("*/DONE")):
        reducer = result_of(path.parent)["reducer"]
        alone = tmp_path / "alone"
        run(f"reducer={reducer}", "ratio=0.25", "schedule=pico", f"results={alone}")
        assert samples_of(alone / path.parent.name) == samples_of(path.parent)


CUSTOM = '''
from dataclasses import dataclass
from winnow import Reducer, Reduction, Site

@dataclass(frozen=True)
class Last(Reducer):
    """Keep the last `count` visual tokens."""

    kept: int = 4
    broken: bool = False

    def sites(self, depth, tower=None):
        return (Site.entrance(depth),)

    def count(self, site, grid, present):
        return min(present, self.kept)

    def reduce(self, view):
        if self.broken:
            raise RuntimeError("this method is broken")
        return Reduction(view.visual[-self.kept:])
'''


def test_method_of_ones_own(run: Run, results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text(CUSTOM)
    monkeypatch.syspath_prepend(tmp_path)
    ran = run("reducer=custom", "reducer.target=mine:Last", "reducer.args.kept=10")
    assert ran.code == 0 and ran.out.startswith("pico · custom kept=10 broken=False")
    assert result_of(only(results))["shares"]["entrance"] == pytest.approx(10 / 200)
    ran = run("reducer=custom", "reducer.target=mine:Last", "reducer.args.broken=true")
    assert ran.code == 1 and "8 of 8 documents failed (8 x RuntimeError: this method is broken)" in ran.err


def test_budget_is_met(run: Run, results: Path) -> None:
    ran = run("reducer=fastv", "budget.mean=0.75", "schedule=pico")
    assert ran.code == 0 and "for mean 0.75 (planned 0.75" in ran.out
    result = result_of(only(results))
    assert result["shares"]["mean"] == pytest.approx(0.75, abs=0.02)
    assert result["budget"]["achieved"] == pytest.approx(result["shares"]["mean"])


def test_a_number_of_tokens_is_kept_of_every_picture(run: Run, results: Path) -> None:
    """Of pico's pictures, which have fewer tokens than the video of its nominal prompt, too."""
    ran = run("reducer=fastv", "budget.tokens=10", "schedule=pico", "tasks=pico_image", "limit=8")
    assert ran.code == 0 and "tokens=10" in ran.out and "for tokens 10 (planned 10" in ran.out
    result = result_of(only(results))
    assert result["asked"] == "tokens 10" and result["budget"]["achieved"] == 10
    assert result["shares"]["last"] == pytest.approx(10 / 25)


def test_flops_budget_of_an_adaptive_method_shows_what_was_achieved(run: Run, results: Path) -> None:
    assert run("reducer=vas", "budget.flops=0.7", "schedule=pico").code == 0
    result = result_of(only(results))
    assert result["budget"]["planned"] == pytest.approx(0.7, abs=0.02)
    assert result["budget"]["achieved"] == pytest.approx(result["cost"]["flops_share"], abs=0.02)
    assert result["asked"] == "flops 0.7"


def test_oracle_beats_its_opposite(run: Run, results: Path) -> None:
    run("-m", "reducer=oracle", "reducer.select=highest,lowest", "ratio=0.1", "limit=30", "batch_size=16")
    found = {r["label"]: r["tasks"][0]["mean"] for r in (result_of(path.parent) for path in results.glob("*/DONE"))}
    assert found["oracle"] > found["oracle select=lowest"] + 30


def test_images_and_videos_in_one_set(run: Run, results: Path) -> None:
    assert run(*FASTV, "tasks=pico").code == 0
    result = result_of(only(results))
    assert [task["task"] for task in result["tasks"]] == ["pico_video", "pico_image"]
    assert result["documents"] == 16
