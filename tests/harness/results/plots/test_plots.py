"""Pictures: what is on which axis, the Pareto front, sizes."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from winnow.harness.cli.commands.plot import plot, schedules
from winnow.harness.common import files
from winnow.harness.results import plots
from winnow.harness.results.plots import style
from winnow.harness.results.plots.tradeoff import apart, pareto
from winnow.harness.results.tables import measured
from winnow.reducers.core.errors import WinnowError


def run(name: str, mean: float, share: float, **more: Any) -> dict[str, Any]:
    task = {"task": "quiz", "metric": "right", "mean": mean, "low": mean - 5, "high": mean + 5}
    return {
        "id": name, "status": "complete", "model": "pico", "reducer": "fastv", "label": "fastv", "knobs": {},
        "asked": "",
        "shares": {"mean": share}, "cost": {"profile": "physical", "tflops": share, "kv_bytes": 1e6 * share},
        "tasks": [task],
    } | more  # fmt: skip


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=1))
def test_nothing_beats_the_pareto_front(points: list[tuple[int, int]]) -> None:
    front = pareto([(float(c), float(v)) for c, v in points])
    for cost, value in points:
        assert any(c <= cost and v >= value for c, v in front)
    assert all(a[0] < b[0] and a[1] < b[1] for a, b in pairwise(front))


@pytest.mark.parametrize("axis", ["retention", "flops", "kv", "ttft"])
def test_axes(axis: Any, tmp_path: Path) -> None:
    found = [
        run("a", 50, 0.5, ttft=20.0),
        run("b", 70, 0.7, ttft=30.0),
        run("c", 80, 1.0, reducer="none", label="none"),
    ]
    plots.draw(found, tmp_path / "a.svg", axis=axis)
    text = (tmp_path / "a.svg").read_text()
    assert len(text) > 5000 and 'width="241.2pt"' in text  # 3.35 inches, one column


def test_names_are_no_formulas_and_no_controls(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    """What matplotlib would set as a formula, and fail at, or has no glyph for."""
    found = [run("a", 50, 0.5, label="$x^{$ \x1b[31m"), run("b", 60, 0.6, label="vas $")]
    plots.draw(found, tmp_path / "a.svg")
    assert (tmp_path / "a.svg").exists() and not [one for one in recwarn if "Glyph" in str(one.message)]


def test_no_time_without_a_measurement(tmp_path: Path) -> None:
    with pytest.raises(WinnowError, match="--x ttft: none of these runs has it; time them with winnow bench"):
        plots.draw([run("a", 50, 0.5)], tmp_path / "a.png", axis="ttft")


def test_tokens_per_layer(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    rows = [{"visual": 8, "visual_per_layer": [8, 8, 4, 2]}, {"visual": 8, "visual_per_layer": [8, 6, 4, 2]}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a" / "traces.parquet")
    plot([run("a", 50, 0.5)], tmp_path, tmp_path / "layers.png", ["a"], None, None, "layers", "page")
    assert Image.open(tmp_path / "layers.png").width == round(6.9 * 300)
    pq.write_table(pa.Table.from_pylist([{"visual": 8}]), tmp_path / "a" / "traces.parquet")
    with pytest.raises(WinnowError, match="run a is imported, or of an older version, and lacks tokens layer by layer"):
        plot([run("a", 50, 0.5)], tmp_path, tmp_path / "layers.png", [], None, None, "layers", "page")
    with pytest.raises(WinnowError, match="--x ttft: none of these runs has it"):
        plot([run("a", 50, 0.5)], tmp_path, tmp_path / "ttft.png", [], None, None, "ttft", "page")
    with pytest.raises(WinnowError, match="b is no run in"):
        plot([run("a", 50, 0.5)], tmp_path, tmp_path / "layers.png", ["b"], None, None, "layers", "page")


def test_a_run_whose_traces_are_damaged_is_left_out_of_layers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        rows = [{"visual": 8, "visual_per_layer": [8, 4]}]
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / name / "traces.parquet")
    (tmp_path / "a" / "traces.parquet").write_bytes(b"PAR1 half of it")
    both = [run("a", 50, 0.5), run("b", 60, 0.5)]
    plots.draw_layers(both, tmp_path, tmp_path / "layers.png")  # type: ignore[arg-type]
    assert (tmp_path / "layers.png").exists() and capsys.readouterr().err.count("run a again with force=true") == 1
    (tmp_path / "b" / "traces.parquet").unlink()
    with pytest.raises(WinnowError, match="run b"):
        plots.draw_layers(both, tmp_path, tmp_path / "layers.png")  # type: ignore[arg-type]


def legend_of(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What `draw_schedules` draws: name in the legend -> line."""
    drawn: dict[str, Any] = {}
    monkeypatch.setattr(
        "winnow.harness.results.plots.layers.legend",
        lambda axes: drawn.update({line.get_label(): line for line in axes.lines}),
    )
    return drawn


def test_schedules_are_plans_by_layer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = legend_of(monkeypatch)
    words = ["reducer=fastv,vcc", "ratio=0.25", "schedule.k=2,4", "model=pico"]
    schedules(words, tmp_path / "s.pdf", None, "column")
    assert (tmp_path / "s.pdf").read_bytes().startswith(b"%PDF")
    assert set(drawn) == {f"{name} 0.25 (k={k})" for name in ("fastv", "vcc") for k in (2, 4)}
    assert list(drawn["fastv 0.25 (k=2)"].get_ydata()) == [100] * 2 + [25] * 6
    schedules(["reducer=vas", "schedule=pico"], tmp_path / "s.pdf", None, "column")
    assert drawn["vas, estimate"].get_linestyle() == "--"


def test_schedules_of_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = legend_of(monkeypatch)
    schedules(["experiment=aim_table_B"], tmp_path / "s.png", "llava_ov", "page")
    assert {"aim_merge 0.5", "aim_temporal 0.5"} <= set(drawn)
    assert list(drawn["aim_merge 0.25"].get_ydata()) == [25] * 28


def test_schedules_are_asked_for_by_overrides(tmp_path: Path) -> None:
    for words in ([], ["a"]):
        with pytest.raises(WinnowError, match="--x schedules draws plans, not runs: say reducer=fastv,aim"):
            schedules(words, tmp_path / "s.png", None, "page")
    with pytest.raises(WinnowError, match=r"--model is missing: choose llava15 \| pico"):
        schedules(["model=pico,llava15"], tmp_path / "s.png", None, "page")


def test_a_legend_stands_below_and_fits(tmp_path: Path) -> None:
    with style.figure(tmp_path / "a.png") as axes:
        for number in range(12):
            axes.plot([0, 1], [0, number], label=f"method {number} (start=5 end=7)", **style.look(number))
        style.legend(axes)
        axes.figure.draw_without_rendering()
        (box,) = [found.get_window_extent() for found in axes.figure.legends]
        assert box.x0 >= 0 and box.x1 <= axes.figure.bbox.x1 and box.y0 >= 0 and box.y1 < axes.bbox.y0
    assert len({tuple(style.look(number).values()) for number in range(49)}) == 49


def test_measured_times_are_found_by_model_and_settings(tmp_path: Path) -> None:
    inputs = {"target": "m:A", "args": {"x": 1}, "code": "abc"}
    rounds = {"none": [0.4, 0.4, 0.5], "a": [0.2, 0.2, 0.25]}
    made = {
        "model": "pico", "baseline": "none", "identity": {"methods": {"none": {"target": "n"}, "a": inputs}},
        "methods": {name: {"rounds": [{"ttft": t} for t in taken]} for name, taken in rounds.items()},
    }  # fmt: skip
    files.write_json(tmp_path / "x.json", made)
    key = measured.method_key(inputs | {"code": "another"})
    assert measured.times(tmp_path)["pico", key] == measured.Time(200.0, 2.0)


def test_runs_of_other_documents_are_other_curves() -> None:
    runs: Any = [{"context": "aaaa1", "limit": None}, {"context": "bbbb2", "limit": 10}, {"context": "aaaa1"}]
    assert apart(runs) == {"aaaa1": " (aaaa)", "bbbb2": " (bbbb limit=10)"}
    assert apart(runs[:1]) == {"aaaa1": ""}
