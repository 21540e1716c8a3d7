"""The report, looked at in a real browser where there is one: it draws, fits a phone, and runs nothing from data."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from winnow.harness.cli.commands.tables import tables_of
from winnow.harness.results.report import collect
from winnow.harness.results.report.write import write
from winnow.harness.run.result import results_below

EVIL = "<script>document.title='pwned'</script><img src=x onerror=\"document.title='pwned'\">"
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture
def page(run: Callable[..., Any], results: Path, tmp_path: Path) -> Path:
    done = run("-m", "reducer=none,fastv", "ratio=0.25", "schedule=pico", "limit=4")
    assert done.code == 0, done.err
    for path in results.glob("*/samples_*.jsonl"):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        lines[1] |= {"prompt": f"what? {EVIL} \u2028", "answer": f"</script>{EVIL}"}
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    for path in results.glob("*/result.json"):
        found = json.loads(path.read_text())
        path.write_text(json.dumps(found | {"label": f"{found['label']} {EVIL}"}))
    found = results_below(results)
    out = tmp_path / "report.html"
    write(found, results, out, tables_of(["aim_poster_merging"], found, results), shown=1)
    return out


def browse(page: Path, *more: str, width: int = 1280) -> str:
    done = subprocess.run(
        [
            str(BROWSER), "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
            "--virtual-time-budget=10000", "--host-resolver-rules=MAP * ~NOTFOUND", f"--window-size={width},900",
            f"--user-data-dir={page.parent / 'profile'}", *more, page.as_uri(),
        ],
        capture_output=True, text=True, timeout=200, check=True,
    )  # fmt: skip
    return done.stdout


def test_the_page_stands_alone_and_escapes_data(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"""(src|href)\s*=\s*["']?(https?:)?//""", text.split('id="data"')[0])
    head, _, rest = text.partition('<script type="application/json" id="data">')
    data = json.loads(rest.partition("</script>")[0])
    assert "<script>document" not in text and "<img src=x" not in head and "\\u003cscript>" in rest
    evil = next(sample for sample in data["samples"] if sample["doc_id"] == 1)
    assert EVIL in evil["question"] and [a["base"] for a in evil["answers"]] == [True, False]
    first = data["samples"][0]["answers"]
    assert "picture" not in first[0] and len(first[1]["picture"]) > 5000
    assert "58.5" in head and "Missing, and what fills it" in head
    assert len(text) < 2_000_000


def test_pictures_are_of_different_methods() -> None:
    answers = [{"label": label, "run": str(run)} for run, label in enumerate(["aim"] * 4 + ["fastv"] * 3 + ["vas"])]
    assert [found["run"] for found in collect._varied(answers)] == ["2", "5", "7", "0", "1", "3", "4", "6"]


@pytest.mark.skipif(BROWSER is None, reason="no chromium here: the page was not looked at")
def test_the_page_in_a_browser(page: Path) -> None:
    for width in (1280, 500):
        dom = browse(page, "--dump-dom", width=width)
        assert "<title>Winnow: 2 runs</title>" in dom and 'data-charts="1"' in dom and 'data-fits="true"' in dom
        assert "<svg" in dom and dom.count('class="sample"') == 4 and "&lt;script&gt;document.title" in dom
        shot = page.parent / "shot.png"
        browse(page, f"--screenshot={shot}", width=width)
        picture = Image.open(shot).convert("L")
        assert picture.width == width and len(picture.getcolors() or []) > 20
