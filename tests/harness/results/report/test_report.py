"""The report, looked at in a real browser where there is one: it draws, sorts, filters, and runs nothing from data."""

import base64
import gzip
import json
import re
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from written import result, task, write_run

from winnow.harness.cli.commands.tables import tables_of
from winnow.harness.common import files
from winnow.harness.results import report
from winnow.harness.results.report import charts, collect
from winnow.harness.results.report.write import write
from winnow.harness.run.result import results_below

EVIL = "<script>document.title='pwned'</script><img src=x onerror=\"document.title='pwned'\">"
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
LIBRARIES = {
    "tabulator.min.js": "7537edc50aa342ea",
    "tabulator.min.css": "20626e3feea130a0",
}
browser = pytest.mark.skipif(BROWSER is None, reason="no chromium here: the page was not looked at")
NARROWEST = 500
"""Pixels; no window of Chromium is narrower, but a frame in it is."""
FRAME = """<iframe src="looked.html" width="{width}" height="900"></iframe><script>
addEventListener("message", (told) => {{
  const e = document.createElement("output"); e.id = "said"; e.textContent = told.data; document.body.append(e);
}});</script>"""
WATCH = "<script>window.onerror = (text) => { document.body.dataset.error = text; };</script>"


def store(folder: Path, count: int, **more: Any) -> list[Any]:
    """Runs with everything that a report looks at."""
    for number in range(count):
        base, share = number == 0, 1 - number / (count + 1)
        kind = "none" if base else ("fastv", "vas", "aim")[number % 3]
        scores = [float((number + i) % 3 > 0) for i in range(4)]
        write_run(
            folder, scores, f"run{number:04}", reducer=kind, label=f"{kind} {EVIL}", asked=f"{share:.3f}",
            shares={"entrance": 1.0, "mean": share, "last": share}, limit=None if number % 2 else 50,
            cost={"profile": "physical", "tflops": share, "flops_share": share, "kv_bytes": 1e6 * share},
            tasks=[task("t", 40 + 50 * share)], **more,
        )  # fmt: skip
        rows = [
            {"doc_id": i, "prompt": f"what {i}? {EVIL if i == 1 else ''} \u2028", "answer": f"</script>{EVIL}",
             "target": "a", "scores": {"m": score}}
            for i, score in enumerate(scores)
        ]  # fmt: skip
        here = folder / f"run{number:04}"
        files.write_lines(here / "samples_t.jsonl", rows)
        (here / "config.yaml").write_text(f"id: run{number:04}\n" + "".join(f"key{i}: value {i}\n" for i in range(200)))
        files.write_json(here / "env.json", {"python": "3.11", "versions": {"torch": f"2.{number % 2}"}})
    return results_below(folder)


def unfolded(text: str, name: str) -> list[Any]:
    packed = text.partition(f'id="data-{name}">')[2].partition("</script>")[0]
    return [json.loads(line) for line in gzip.decompress(base64.b64decode(packed)).decode().split("\n") if line]


def browse(page: Path, *more: str, width: int = 1280, script: str = "") -> str:
    """The page as it is after its scripts and one of ours have run."""
    text = page.read_text(encoding="utf-8").replace("<body>", f"<body>{WATCH}", 1)
    looked = page.with_name("looked.html")
    looked.write_text(f"{text}<script>{script}</script>", encoding="utf-8")
    if width < NARROWEST:
        looked = page.with_name("frame.html")
        looked.write_text(FRAME.format(width=width), encoding="utf-8")
    done = subprocess.run(
        [
            str(BROWSER), "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
            "--virtual-time-budget=600000", "--host-resolver-rules=MAP * ~NOTFOUND", f"--window-size={width},900",
            f"--user-data-dir={page.parent / 'profile'}", *more, looked.as_uri(),
        ],
        capture_output=True, text=True, timeout=200, check=True,
    )  # fmt: skip
    return done.stdout


def said(dom: str) -> dict[str, Any]:
    """What our script put down."""
    found: dict[str, Any] = json.loads(re.search(r'<output id="said">(.*?)</output>', dom, re.DOTALL)[1])  # type: ignore[index]
    return found


LOOK = (Path(__file__).parent / "look.js").read_text(encoding="utf-8")
FACTS = LOOK.partition("async function main")[0]


def test_the_page_stands_alone_and_escapes_data(tmp_path: Path) -> None:
    found, out = store(tmp_path / "runs", 2), tmp_path / "report.html"
    write(found, tmp_path / "runs", out, tables_of(["aim_poster_merging"], found, tmp_path / "runs"), shown=1)
    text = out.read_text(encoding="utf-8")
    head, _, rest = text.partition('id="data-runs">')
    assert not re.search(r"""(src|href)\s*=\s*["']?(https?:)?//""", head)
    assert "<script>document" not in text and "<img src=x" not in text and "\\u003cscript>" in rest
    first, second, *_ = unfolded(text, "samples")
    assert EVIL in second["question"] and [a["base"] for a in first["answers"]] == [True, False]
    assert "picture" not in first["answers"][0] and "no token picture" in first["answers"][1]["why"]
    assert "58.5" in head and "Missing, and what fills it" in head
    assert len(text) < 2_500_000


def test_what_a_run_is_stands_before_its_costs(tmp_path: Path) -> None:
    (names, *_) = collect.table(store(tmp_path, 1), tmp_path)
    told = [*names]
    assert max(map(told.index, ("n", "run", "limit", "status"))) < min(map(told.index, ("entrance", "last")))


def test_the_plot_says_what_it_shows() -> None:
    """The chosen cost stands below the axis; names in the legend are whole."""
    made = charts.chart()
    assert made["title"]["text"] == {"expr": "cost"} and made["params"][0]["name"] == "cost"
    assert charts.LEGEND["labelLimit"] >= 300


@pytest.mark.full
def test_a_thousand_runs_are_a_small_page_with_all_their_settings(tmp_path: Path) -> None:
    found, out = store(tmp_path / "runs", 40), tmp_path / "report.html"
    write(found, tmp_path / "runs", out, shown=0)
    few = out.stat().st_size
    more = [one | {"id": f"{one['id']}-{n}"} for n in range(24) for one in found]  # type: ignore[operator]
    for one in more:
        (tmp_path / "runs" / one["id"]).symlink_to(tmp_path / "runs" / one["id"].partition("-")[0])
    write([*found, *more], tmp_path / "runs", out, shown=0)
    text = out.read_text(encoding="utf-8")
    assert len(unfolded(text, "details")) == 1000 and len(unfolded(text, "points")) == 1000
    assert len(text) - few < 2_000_000 and len(text) < 5_000_000


def test_samples_hold_answers_of_all_runs_and_no_more_than_a_page_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = store(tmp_path, 4)
    monkeypatch.setattr(collect, "ANSWERS", 8)
    samples = collect.samples(found, tmp_path, 200)
    assert [len(sample["answers"]) for sample in samples] == [4, 4]


def test_tokens_are_told_by_layer(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    found = store(tmp_path, 1)
    rows = [{"task": "t", "doc_id": i, "visual_per_layer": [25, 25, 6, 6, 2]} for i in range(300)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "run0000/traces.parquet")
    first, *_ = collect.samples(found, tmp_path, 2)
    assert first["answers"][0]["tokens"] == "25 in 0-1, 6 in 2-3, 2 in 4"


def test_a_group_of_tasks_is_drawn_as_its_mean(tmp_path: Path) -> None:
    parts = [f"pope_{kind}" for kind in ("adv", "pop", "random")]
    shares, cost = {"mean": 0.5}, {"tflops": 1.0, "kv_bytes": 1e6, "profile": "physical"}
    mean = {"mean": 80.0, "low": 70.0, "high": 90.0}
    one = result("a", *parts, means={"pope_splits": mean}, shares=shares, cost=cost)
    (point,) = collect.points([one])
    assert (point["task"], point["accuracy"], point["front TFLOPs"]) == ("pope_splits", 80.0, True)


def test_a_front_holds_runs_that_can_be_compared() -> None:
    """Another limit is another context: its better run pushes none of these off their front."""
    cost = {"tflops": 1.0, "kv_bytes": 1e6, "profile": "physical"}
    runs = [
        result(name, context=context, shares={"mean": share}, cost=cost, tasks=[task("t", mean)])
        for name, context, share, mean in (("a", "x", 0.5, 60.0), ("b", "x", 0.6, 50.0), ("c", "y", 0.4, 90.0))
    ]
    found = {point["run"]: point["front visual tokens %"] for point in collect.points(runs)}
    assert found == {"a": True, "b": False, "c": True}


def test_pictures_are_of_different_methods() -> None:
    answers = [{"label": label, "run": str(run)} for run, label in enumerate(["aim"] * 4 + ["fastv"] * 3 + ["vas"])]
    assert [found["run"] for found in collect._varied(answers)] == ["2", "5", "7", "0", "1", "3", "4", "6"]


def test_the_library_is_the_released_one() -> None:
    """Tabulator 6.5.3 as published, less the name of its source map; its licence lies beside it."""
    folder = Path(report.__file__).parent / "vendor"
    assert {name: sha256((folder / name).read_bytes()).hexdigest()[:16] for name in LIBRARIES} == LIBRARIES
    assert "Permission is hereby granted" in (folder / "LICENSE").read_text()


@browser
def test_the_page_in_a_browser(tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    write(store(tmp_path / "runs", 6), tmp_path / "runs", out, shown=0)
    for width in (1400, 400):
        found = said(browse(out, "--dump-dom", width=width, script=LOOK))
        assert "error" not in found, found
        assert (
            found["title"] == "Winnow: 6 runs"
            and found["width"] == width
            and found["fits"] == "true"
            and found["charts"] == "6"
        )
        assert found["rows"] == 6 and found["focus"] and (width == 400 or found["right"] <= 1400)
        assert found["aria"] == "ascending" and found["then"] == "descending"
        assert found["up"] == found["down"][::-1] == sorted(found["up"], key=float) and len(found["up"]) == 6
        assert found["limited"] == found["same"] == 3 and found["count"] == "3 of 6 runs"
        assert "No sample is like this" in found["empty"] and found["cards"] == 4 and found["marks"]
        assert "run run0003" in found["details"] and "key199" in found["details"] and found["of"] == "run0003"
    scheme = ("--force-dark-mode", "--blink-settings=preferredColorScheme=0")
    dark = said(browse(out, "--dump-dom", *scheme, script=LOOK))
    assert dark["ink"] != found["ink"]


@browser
@pytest.mark.full
def test_a_thousand_runs_in_a_browser(tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    write(store(tmp_path / "runs", 1000), tmp_path / "runs", out, shown=0)
    script = FACTS + "async function main() { tell({ ...document.body.dataset }); }"
    found = said(browse(out, "--dump-dom", script=script))
    assert "error" not in found and found["runs"] == "1000" and found["fits"] == "true"
    shot = tmp_path / "shot.png"
    browse(out, f"--screenshot={shot}")
    assert len(Image.open(shot).convert("L").getcolors() or []) > 20


@browser
def test_no_runs_with_answers_or_costs_is_said_and_no_error(tmp_path: Path) -> None:
    write_run(tmp_path / "runs", [1.0], "alone")
    out = tmp_path / "report.html"
    write(results_below(tmp_path / "runs"), tmp_path / "runs", out, shown=0)
    seen = "{ text: document.body.innerText, error: document.body.dataset.error }"
    script = f"{FACTS} async function main() {{ tell({seen}); }}"
    found = said(browse(out, "--dump-dom", script=script))
    assert "error" not in found and "there is nothing to draw" in found["text"]
    assert "None of these runs has its answers here" in found["text"]
