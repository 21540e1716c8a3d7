"""Measured times, from files made by hand."""

from pathlib import Path
from typing import Any

import pytest

from winnow.harness.common import files
from winnow.harness.results.tables.measured import Time, method_key, times

FASTV: dict[str, Any] = {
    "target": "x:FastV",
    "args": {"R": 0.5},
    "code": "abc",
    "parts": [{"target": "y", "code": "d"}],
}
NONE: dict[str, Any] = {"target": "x:None", "args": {}}


def rounds(*seconds: float | None) -> dict[str, Any]:
    return {"rounds": [{"ttft": one} for one in seconds]}


def bench(**more: Any) -> dict[str, Any]:
    return {
        "model": "m", "baseline": "none", "identity": {"methods": {"none": NONE, "fastv": FASTV}},
        "methods": {"none": rounds(0.4, 0.6, 0.5), "fastv": rounds(0.2, 0.1, 0.5)},
    } | more  # fmt: skip


def test_a_method_is_known_by_its_settings_whatever_its_code() -> None:
    bare = {"target": "x:FastV", "args": {"R": 0.5}, "parts": [{"target": "y"}]}
    more = FASTV | {"folder": "f", "solver": "s"}
    assert method_key(FASTV) == method_key(bare) == method_key(more)
    assert method_key(FASTV) != method_key(FASTV | {"args": {"R": 0.4}}) != method_key(FASTV | {"parts": []})


def test_a_time_is_the_median_in_ms_and_a_speedup_that_of_the_rounds(tmp_path: Path) -> None:
    """Rounds go together: 2, 6 and 1 times, whose median is 2; the medians are 0.5 and 0.2 s."""
    files.write_json(tmp_path / "deep" / "a.json", bench())
    files.write_json(tmp_path / "other.json", {"methods": {}})
    files.write_json(tmp_path / "another.json", {"identity": {}})
    assert times(tmp_path) == {
        ("m", method_key(FASTV)): Time(200, pytest.approx(2)), ("m", method_key(NONE)): Time(500, 1)
    }  # fmt: skip


@pytest.mark.parametrize("broken", [{"fastv": rounds(0.2, None)}, {"none": rounds(0.4, None)}, {"fastv": rounds(0.0)}])
def test_what_was_not_measured_to_its_end_has_no_time(broken: dict[str, Any], tmp_path: Path) -> None:
    files.write_json(tmp_path / "a.json", bench(methods=bench()["methods"] | broken))
    assert ("m", method_key(FASTV)) not in times(tmp_path)


def test_of_several_measurements_the_last_one_counts(tmp_path: Path) -> None:
    for name, seconds in (("a", 0.1), ("b", 0.3)):
        files.write_json(tmp_path / f"{name}.json", bench(methods=bench()["methods"] | {"fastv": rounds(seconds)}))
    assert times(tmp_path)["m", method_key(FASTV)].ms == pytest.approx(300)
