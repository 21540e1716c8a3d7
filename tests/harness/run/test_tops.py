"""The top of a result is what the whole result says, however many there are and however they were written."""

import json
from pathlib import Path

import pytest
from written import result

from winnow.harness.common import files
from winnow.harness.run.result import results_below
from winnow.harness.run.tops import Top, tops_below


def test_tops_are_those_of_the_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, settings, day in (("0a", "s", 1), ("0b", "s", 2), ("0c", "u", 1), ("imported-1", "s", 3)):
        files.write_json(tmp_path / name / "result.json", result(name, "t", settings=settings, day=day))
    turned = dict(reversed(result("0d", "t", day=4, settings="escaped \\ é").items()))
    (tmp_path / "0d").mkdir()
    (tmp_path / "0d" / "result.json").write_text(json.dumps(turned))
    files.write_json(tmp_path / "0e" / "result.json", result("other", "t"))
    (tmp_path / "0f").mkdir()
    (tmp_path / "0f" / "result.json").write_text('{"id": "0f", "context": "c')
    found = tops_below(tmp_path)
    whole = [one for one in results_below(tmp_path) if not one["id"].startswith("imported-")]
    assert found == [Top(*(one[name] for name in Top._fields)) for one in whole]  # type: ignore[literal-required]
    assert [top.id for top in found] == ["0c", "0b", "0d"]
    told = capsys.readouterr().err.splitlines()
    assert sum("0e/result.json is the result of another run" in line for line in told) == 2
    assert sum("0f/result.json is damaged" in line for line in told) == 2
