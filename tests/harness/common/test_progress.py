"""Progress is a line now and then where there is no terminal."""

import pytest

from winnow.harness.common import progress


def test_log_gets_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    clock = iter([0.0, 10.0, 31.0, 31.0, 40.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with progress.progress("answering quiz", 30) as advance:
        for _ in range(3):
            advance(10)
    assert capsys.readouterr().err == "answering quiz: 20 of 30\n"
