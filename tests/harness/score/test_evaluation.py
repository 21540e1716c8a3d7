"""What of lmms-eval's log of a document is a score."""

from typing import Any

import numpy as np
import pytest
from values import usual

from winnow.harness.score.evaluation import Evaluation, Judged, _judged


def test_nothing_is_judged_yet() -> None:
    assert usual(Evaluation) == {"judged": {}, "figures": {}}


@pytest.mark.parametrize(
    ("value", "score"),
    [(1, 1.0), (0.25, 0.25), (True, 1.0), (np.float32(0.5), 0.5), ({"score": 0.75, "pred": "A"}, 0.75),
     ({"pred": "A"}, None), ("right", None), (None, None), ([1], None), ({"score": "1"}, None)],
)  # fmt: skip
def test_a_score_is_a_number_or_that_of_a_record(value: Any, score: float | None) -> None:
    assert _judged({"target": "A", "m": value}) == Judged("A", {} if score is None else {"m": score})


def test_what_lmms_eval_logs_beside_its_metrics_is_no_score() -> None:
    logged = dict.fromkeys(
        ["doc_id", "doc", "arguments", "resps", "filtered_resps", "token_counts", "doc_hash", "input"], 1
    )
    assert _judged(logged | {"m": 0.5}) == Judged(None, {"m": 0.5})
