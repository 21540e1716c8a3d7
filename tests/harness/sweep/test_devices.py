"""What each worker on a machine gets."""

import pytest

from winnow.harness.sweep.devices import devices
from winnow.reducers.core.errors import WinnowError


@pytest.mark.parametrize(
    ("there", "workers", "gpus", "expected"),
    [
        ("0,1,2", 2, 1, ["0", "1"]),
        ("0,1,2", 4, 1, ["0", "1", "2", "0"]),
        ("0,1,2,3", 2, 2, ["0,1", "2,3"]),
        ("0,1,2", 2, 2, ["0,1", "0,1"]),
        ("", 2, 1, [None, None]),
    ],
)
def test_gpus_are_dealt_out(
    monkeypatch: pytest.MonkeyPatch, there: str, workers: int, gpus: int, expected: list[str | None]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", there)
    assert devices(workers, gpus) == expected


def test_more_gpus_than_there_are_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    with pytest.raises(WinnowError, match="--gpus 3 is not allowed: choose 1 to 2"):
        devices(1, 3)
