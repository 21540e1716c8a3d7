"""Which cells `winnow retry` lets be run again; none that somebody works on."""

from dataclasses import replace
from pathlib import Path

import pytest
from planned import answer, fail, finish, sweep

from winnow.harness.run.claim import Claim
from winnow.harness.sweep.manifest import Manifest
from winnow.harness.sweep.status import forget_some


@pytest.fixture
def planned(tmp_path: Path) -> Manifest:
    """A finished, a failed, a damaged and a started cell, and one that was stored before."""
    made = replace(sweep(tmp_path, "done", "failed", "damaged", "started"), stored=["before"])
    for name in ("done", "damaged", "before"):
        finish(made, name)
    fail(made, "failed")
    (made.results / "damaged" / "result.json").write_text("{}")
    answer(made, "started", 2)
    return made


def names(planned: Manifest, **which: bool) -> set[str]:
    asked = {"failed": False, "damaged": False, "all_": False} | which
    *lines, last = forget_some(planned, **asked)
    assert last.startswith(f"{len(lines)} cell") and last.endswith(" will be run again")
    return {line.split()[0] for line in lines}


@pytest.mark.parametrize(
    ("which", "expected"),
    [
        ({"failed": True}, {"failed"}),
        ({"damaged": True}, {"damaged"}),
        ({"failed": True, "damaged": True}, {"failed", "damaged"}),
        ({"all_": True}, {"done", "failed", "damaged", "started", "before"}),
        ({}, set()),
    ],
)
def test_what_is_asked_for_is_forgotten_and_its_answers_are_kept(
    planned: Manifest, which: dict[str, bool], expected: set[str]
) -> None:
    assert names(planned, **which) == expected
    marks = {path.parent.name for name in ("DONE", "FAILED") for path in planned.results.glob(f"*/{name}")}
    assert marks == {"done", "failed", "damaged", "before"} - expected
    assert (planned.results / "started" / "journal" / "00001-x.jsonl").exists()


def test_a_cell_that_is_held_is_left_to_its_holder(planned: Manifest) -> None:
    with Claim(planned.results / "failed"), Claim(planned.results / "damaged"):
        assert names(planned, failed=True, damaged=True) == set()
        assert names(planned, all_=True) == {"done", "started", "before"}
    assert (planned.results / "failed" / "FAILED").exists() and (planned.results / "damaged" / "DONE").exists()
    assert names(planned, failed=True) == {"failed"}
