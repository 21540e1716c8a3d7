"""An installed package adds `reducer=<name>` by the entry point `winnow.reducers`, with the two files of any method."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cells import cell
from runs import Run, only, result_of

from winnow.harness.config import choices
from winnow.harness.config.label import label
from winnow.reducers.core.errors import WinnowError

CLASS = """
from dataclasses import dataclass
from typing import Literal

from winnow import Scorer


@dataclass(frozen=True)
class Last(Scorer):
    end: Literal["last", "first"] = "last"

    def score(self, view):
        order = view.visual.float()
        return order if self.end == "last" else -order
"""
YAML = """
# ratio: the share of each span's visual tokens that is left.
_target_: theirs.methods:Last
select: highest
positions: keep
end: last # last | first
"""
Install = Iterator[Path]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """A folder of installed packages with one that offers a method."""
    package, info = tmp_path / "site" / "theirs", tmp_path / "site" / "theirs-1.dist-info"
    (package / "reducer").mkdir(parents=True)
    info.mkdir()
    (package / "__init__.py").write_text("")
    (package / "methods.py").write_text(CLASS)
    (package / "reducer" / "last_ones.yaml").write_text(YAML)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[winnow.reducers]\nlast_ones = theirs\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
    choices.folders.cache_clear()
    yield tmp_path / "site"
    choices.folders.cache_clear()
    for name in [name for name in sys.modules if name.partition(".")[0] == "theirs"]:
        del sys.modules[name]


def test_its_choice_stands_beside_ours_and_composes_without_importing_it(site: Path) -> None:
    assert "last_ones" in choices.options("reducer") and "fastv" in choices.options("reducer")
    made = cell("reducer=last_ones", "ratio=0.25", "reducer.end=first")
    assert made.method.target == "theirs.methods:Last" and made.method.ratio == 0.25 and not made.method.seeded
    assert label(made) == "last_ones end=first" and "theirs.methods" not in sys.modules
    with pytest.raises(WinnowError, match=r"unknown option 'x' of reducer: choose end, positions, select"):
        cell("reducer=last_ones", "+reducer.x=1")


def test_it_runs(site: Path, run: Run, results: Path) -> None:
    done = run("reducer=last_ones", "ratio=0.25", "limit=2")
    assert done.code == 0, done.err
    assert result_of(only(results))["shares"]["entrance"] == 0.25


def test_a_package_without_its_folder_is_named(site: Path) -> None:
    (site / "theirs" / "__init__.py").unlink()
    choices.folders.cache_clear()
    with pytest.raises(WinnowError, match="theirs names theirs as the home of reducer=last_ones, where there is no"):
        choices.options("reducer")


@pytest.mark.parametrize(
    ("value", "taken"),
    [
        (0.1 + 0.2, 0.3), (1234567890.123456, 1234567890.12), (1 / 3, 0.333333333333), (2, 2), (True, True),
        ("0.30", "0.30"), ([0.1 + 0.2, [0.7000000000000001]], [0.3, [0.7]]),
        ({"a": {"b": 0.1 + 0.2}, "c": None}, {"a": {"b": 0.3}, "c": None}),
    ],
)  # fmt: skip
def test_numbers_are_taken_at_twelve_digits_at_any_depth(value: object, taken: object) -> None:
    found = choices.rounded(value)
    assert found == taken and type(found) is type(taken)


def test_what_is_listed_may_be_changed() -> None:
    first = choices.listed("reducer", "fastv")
    first["new"] = 1
    assert "new" not in choices.listed("reducer", "fastv") and choices.options("reducer") is not choices.options(
        "reducer"
    )
