"""`reducer.like=RUN` drops at random exactly as many tokens as another run, or says why it cannot."""

from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from cells import cell
from runs import FASTV, Run, only, result_of

from winnow.harness.plan.replay import counts as replayed
from winnow.harness.results.tables import runs as tables
from winnow.harness.run.result import results_below
from winnow.harness.score.paired_runs import replays
from winnow.reducers.core.errors import WinnowError


def replay(like: object) -> tuple[str, str]:
    return "reducer=random", f"reducer.like={like}"


def counts(folder: Path) -> list[list[int]]:
    found: list[list[int]] = pq.read_table(folder / "traces.parquet")["visual_per_layer"].to_pylist()
    return found


def test_replays_the_counts_of_an_adaptive_run(run: Run, results: Path) -> None:
    assert run("reducer=ats", "ratio=0.5").code == 0
    method = only(results)
    ran = run(*replay(method.name[:6]), "ratio=0.5", "schedule=pico", "seed=3")
    assert ran.code == 0 and f"random like={method.name}" in ran.out
    (random,) = (path.parent for path in results.glob("*/DONE") if path.parent != method)
    assert counts(random) == counts(method)
    assert len({tuple(row) for row in counts(method)}) > 1
    result = result_of(random)
    assert result["label"] == f"random like={method.name} seed=3"
    assert result["knobs"] == {"like": method.name} and result["ratio"] is None
    rows = {row["run"]: row for row in tables.rows(results_below(results), results)}
    assert "±" in rows[method.name]["Δ random pico_video"] and rows[random.name]["Δ random pico_video"] == ""
    again = run(*replay(method), "seed=3")
    assert again.out.count("stored") == 1


def test_what_cannot_be_replayed_is_one_line(run: Run, results: Path) -> None:
    assert run(*FASTV, "limit=4").code == 0
    folder = only(results)
    for words, message in {
        replay("nope"): f"reducer.like=nope is no run in {results}",
        (*replay(folder.name), "limit=2"): "has tasks.limit=4, this run 2: replay a run with the same model, tasks",
        (*replay(folder.name), "limit=4", "model.frames=4"): "has model.frames=8, this run 4",
        (
            *replay(folder.name),
            "limit=4",
            "tasks=pico_image",
        ): "has tasks.names=['pico_video'], this run ['pico_image']",
        (*replay(folder.name), "reducer.select=lowest"): "reducer.like and reducer.select=lowest exclude each other",
    }.items():
        ran = run(*words)
        assert ran.code == 2 and message in ran.err and ran.err.count("\n") == 1
    (folder / "DONE").unlink()
    assert "is not finished: run it to its end first" in run(*replay(folder.name), "limit=4").err


def test_ambiguous_prefix_lists_the_runs(results: Path, run: Run) -> None:
    for name in ("aa1", "aa2"):
        (results / name).mkdir(parents=True)
        (results / name / "config.yaml").write_text("")
    assert "reducer.like=aa means 2 runs: choose aa1 | aa2" in run(*replay("aa")).err


@pytest.mark.parametrize("group", ["answers.model", "asked.tasks", "answers.documents"])
def test_context_has_what_is_compared(group: str, run: Run, results: Path) -> None:
    import yaml

    assert run(*FASTV, "limit=1").code == 0
    layer, name = group.split(".")
    assert yaml.safe_load((only(results) / "config.yaml").read_text())["inputs"][layer][name]


def test_an_imported_run_has_nothing_to_replay(tmp_path: Path) -> None:
    made = replace(cell("reducer=random"), results=tmp_path)
    with pytest.raises(
        WinnowError, match=r"reducer\.like=imported-0a1b is imported: give a run that was computed here"
    ):
        replayed(made, "imported-0a1b")


def test_an_even_sample_of_as_many_tokens_is_no_random_control(run: Run, results: Path) -> None:
    run(*FASTV, "limit=2")
    method = only(results).name
    for control in ("uniform", "random"):
        assert run(f"reducer={control}", f"reducer.like={method}", "limit=2").code == 0
    found = {result["reducer"]: result for result in results_below(results)}
    assert found["uniform"]["knobs"] == {"like": method, "by": "uniform"}
    assert found["uniform"]["shares"] == found["random"]["shares"]
    assert replays(found.values())[method]["reducer"] == "random"
    even, drawn = (pq.read_table(results / found[name]["id"] / "traces.parquet") for name in ("uniform", "random"))
    assert even["last_layer"].to_pylist() != drawn["last_layer"].to_pylist()


@pytest.mark.parametrize("name", ["531e48820113", "012345678901", "42"])
def test_a_runs_name_is_no_number(run: Run, name: str) -> None:
    """Hydra 1.3 reads the first as infinity and drops the zero of the second."""
    for words in ([f"reducer.like={name}"], [f"reducer.like={name},{name}1", "-m"]):
        ran = run(*words[1:], "reducer=random", words[0])
        assert ran.code == 2 and f"reducer.like={name} is no run" in ran.err


def test_the_very_tokens_of_a_run_give_its_very_answers(run: Run, results: Path) -> None:
    run(*FASTV, "limit=4")
    method = only(results)
    assert run("reducer=same", f"reducer.like={method.name}", "limit=4").code == 0
    (same,) = (found for found in results_below(results) if found["reducer"] == "same")
    tables = [pq.read_table(folder / "traces.parquet") for folder in (method, results / same["id"])]
    for column in ("answer", "last_layer", "tokens_per_layer"):
        assert tables[0][column].to_pylist() == tables[1][column].to_pylist()
    ran = run("reducer=same", "limit=4")
    assert ran.code == 2 and "name it with reducer.like=RUN" in ran.err
