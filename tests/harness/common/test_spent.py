"""Seconds are counted once: what runs within a block of another kind is taken off it."""

import time
from threading import Thread

import pytest

from winnow.harness.common.spent import KINDS, Spent


def test_inner_blocks_are_taken_off_in_their_own_thread_alone() -> None:
    spent = Spent()

    def beside() -> None:
        with spent.on("prepare"):
            time.sleep(0.03)

    with spent.on("llm"):
        other = Thread(target=beside)
        other.start()
        with spent.on("tower"):
            time.sleep(0.05)
        time.sleep(0.02)
        other.join()
    found = spent.now()
    assert found["tower"] == pytest.approx(0.05, abs=0.03) and found["llm"] == pytest.approx(0.02, abs=0.015)
    assert found["prepare"] == pytest.approx(0.03, abs=0.03)
    before = spent.now()
    with spent.on("score"):
        time.sleep(0.01)
    since = spent.since(before)
    assert list(since) == list(KINDS) and since["score"] > 0 and since["llm"] == since["tower"] == 0
    assert str(spent).startswith("prepare 0.0 s, tower 0.")
