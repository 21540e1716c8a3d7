"""The whole card: from overrides to runs, and from runs to text, LaTeX and a page."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner
from written import write_run

from winnow.harness.audit.assemble import CHECKS, card, roles, store_of
from winnow.harness.audit.needs import ROLES
from winnow.harness.audit.show import page
from winnow.harness.audit.show.latex import as_latex
from winnow.harness.audit.stages import pending
from winnow.harness.audit.subjects import cells_of, gather, subjects
from winnow.harness.cli.main import app
from winnow.harness.common.finished import seal
from winnow.harness.config.hydra_api import hydra
from winnow.harness.plan.identity import settings_of
from winnow.reducers.core.errors import WinnowError

FASTV = ("reducer=fastv", "ratio=0.25", "schedule=pico")


def test_every_section_names_roles_that_there_are() -> None:
    assert {*roles()} <= {*ROLES}
    assert len({check.name for check in CHECKS}) == len(CHECKS)


@pytest.mark.full
def test_a_card_says_of_each_missing_run_what_makes_it(
    run: Callable[..., Any], results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("-m", "reducer=none,fastv", *FASTV[1:], "limit=2").code == 0
    words = [*FASTV, "limit=2", "batch_size=4", f"results={results}"]
    found = subjects(words)
    store = store_of(found)
    made = card(found[0], store)
    states = {section.name: section.state for section in made.sections}
    assert states["nothing"] == states["hard"] == "missing" and states["gate"] != "missing"
    lacking = {role: how for section in made.sections for role, how in section.missing.items()}
    own = found[0].words and store.find(found[0].cell)
    assert own is not None and lacking["random"].endswith(f"reducer=random reducer.like={own.result['id']}")
    assert lacking["downsample"].endswith("reducer=none downsample.frames=2")
    cells, waiting = pending(found, store)
    assert waiting == 1 and len(cells) == len(ROLES) - 2 - 1 - 1  # finished, waiting, and impossible
    ran = CliRunner().invoke(app, ["audit", "show", *words, "--out", str(tmp_path / "card.html"), "--format", "md"])
    assert ran.exit_code == 1 and "needs random" in ran.stdout and "| fixed" in ran.stdout
    html = (tmp_path / "card.html").read_text()
    assert "Would speak against it" in html and "reducer.like=" in html and "vegaEmbed" not in html
    assert r"\begin{tabular}" in as_latex(made)


def test_a_method_without_a_run_waits_for_it(tmp_path: Path) -> None:
    with hydra():
        found = subjects([*FASTV, f"results={tmp_path}"])
        cells, waiting = pending(found, store_of(found))
        made = card(found[0], store_of(found))
    assert waiting == 10 and found[0].cell in cells and len(cells) == len(ROLES) - waiting - 1
    assert {section.state for section in made.sections} == {"missing"}
    assert all("method" in section.missing for section in made.sections)


def test_several_budgets_are_several_cards() -> None:
    assert [one.cell.method.ratio for one in subjects(["reducer=fastv", "ratio=0.5,0.25"])] == [0.5, 0.25]


@pytest.mark.parametrize("words", [["reducer=none"], ["experiment=aim_poster_video"]])
def test_what_no_card_can_be_about_is_refused(words: list[str]) -> None:
    with pytest.raises(WinnowError, match=r"a method|another method"):
        subjects(words)


def test_what_stands_in_data_is_shown_and_not_obeyed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from winnow.harness.audit.card import Card, Curve, Line, Section

    monkeypatch.setattr(page, "vega", lambda: "library")  # which takes seconds to put together
    bad = "<script>alert(1)</script>\x1b[2J"
    curve = Curve(bad, [(1, 1, 0, 2), (2, 2, 1, 3)], "x", "y")
    section = Section("s", "title", "open", bad, bad, [Line(bad, 1.0, note=bad)], [curve], {bad: bad})
    page.write([Card(bad, bad, [section])], tmp_path / "card.html")
    text = (tmp_path / "card.html").read_text()
    assert "alert(1)</script>" not in text and "\x1b" not in text and "&lt;script&gt;" in text


def test_a_method_before_the_llm_is_followed_by_random_dropping(tmp_path: Path) -> None:
    (found,) = subjects(["reducer=prumerge", "ratio=0.5", f"results={tmp_path}"])
    role = ROLES["choice after half"](found, {})
    (cell,) = cells_of([role.words]).values()
    assert not isinstance(cell, str) and cell.method.schedule is None
    assert [part.name for part in cell.method.parts] == ["prumerge", "random"]
    assert (cell.method.parts[1].schedule or {})["k"] == 4 and cell.method.parts[0].ratio == 0.5
    assert ROLES["renumbered"](found, {}).words[-1] == "reducer.positions=keep"
    kept = replace(found.cell.method, args=found.cell.method.args | {"positions": "keep"})
    turning = replace(found.cell, method=kept, model=replace(found.cell.model, family="qwen2_5_vl"))
    assert "three dimensions" in ROLES["renumbered"](replace(found, cell=turning), {}).why


def test_a_damaged_run_is_one_line_and_the_others_are_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (found,) = subjects([*FASTV, f"results={tmp_path}"])
    (bare,) = cells_of([ROLES["unreduced"](found, {}).words]).values()
    assert not isinstance(bare, str)
    for name, cell in (("0a", found.cell), ("0b", bare)):
        write_run(tmp_path, [1.0, 0.0], name, settings=settings_of(cell))
        pq.write_table(pa.table({"task": ["t"], "doc_id": [0]}), tmp_path / name / "traces.parquet")
        seal(tmp_path / name, "", "")
    (tmp_path / "0a" / "traces.parquet").write_bytes(b"PAR1 half of it")
    gathered = gather(found, store_of([found]), ["method", "unreduced"])
    assert gathered.lacking == {"method": f"winnow eval {' '.join(found.words)} force=true"}
    assert [*gathered.runs] == ["unreduced"] and not gathered.pending
    told = capsys.readouterr().err
    assert told.count("left out") == 1 and "0a/traces.parquet is missing or damaged: run 0a again" in told
