"""What comes next is decoded and encoded while the model answers what is before it; deaths are still told apart."""

from pathlib import Path
from threading import Event
from typing import Any

import pytest
from runs import Run, only, result_of

from winnow.harness.run import answer, preparing
from winnow.harness.run.journal import Journal, deaths


def test_the_next_batch_is_prepared_while_this_one_is_answered(
    run: Run, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, met, prepare, reply = [Event() for _ in range(3)], list[bool](), preparing.prepare, answer.answer

    def noted(loaded: Any, documents: Any, prompts: Any) -> Any:
        begun[documents[0].doc_id // 4].set()
        return prepare(loaded, documents, prompts)

    def waiting(loaded: Any, reducer: Any, batch: Any, seed: int) -> Any:
        met.append(begun[min(2, batch.documents[0].doc_id // 4 + 1)].wait(60))
        return reply(loaded, reducer, batch, seed)

    monkeypatch.setattr(preparing, "prepare", noted)
    monkeypatch.setattr(answer, "answer", waiting)
    ran = run("reducer=none", "limit=12", "media.workers=1")
    assert ran.code == 0 and met == [True] * 3 and "where the time went: decode " in ran.err
    spent = result_of(only(results))["spent"]
    assert set(spent) == {"decode", "prepare", "wait", "tower", "llm", "score"}
    assert all(spent[kind] > 0 for kind in ("prepare", "tower", "llm", "score"))


def test_notes_of_what_is_answered_and_of_what_is_prepared_stand_side_by_side(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    with journal.begun([("t", 1)]):
        with journal.begun([("t", 2), ("t", 3)]):
            assert deaths(tmp_path) == {("t", 1): (0, 1), ("t", 2): (1, 0), ("t", 3): (1, 0)}
        assert deaths(tmp_path) == {("t", 1): (0, 1)}
    assert not deaths(tmp_path)
