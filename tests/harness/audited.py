"""Finished runs as tables, made by hand."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from written import result

from winnow.harness.audit.runs import Answer, Ran
from winnow.harness.common.run_files import Score

TOKENS, DEPTH = 20, 4


def ran(
    scores: Sequence[float],
    says: Sequence[str] = (),
    truth: Sequence[str] = (),
    kept: Sequence[Sequence[int]] = (),
    parts: Sequence[str] = (),
    **more: Any,
) -> Ran:
    """A run of one task; `kept` holds the visual tokens that the last two of four layers saw, of 20."""
    own = {name: more.pop(name) for name in ("benches",) if name in more}
    news = more.pop("new", [0] * len(scores))
    cuts = more.pop("cut", [False] * len(scores))
    logs = more.pop("logprob", [None] * len(scores))
    options = more.pop("options", [()] * len(scores))
    answers, fates = {}, {}
    for i, score in enumerate(scores):
        left = [*kept[i]] if kept else [*range(TOKENS // 2)]
        fates["t", i] = np.where(np.isin(np.arange(TOKENS), left), DEPTH - 1, 1)
        answers["t", i] = Answer(
            text=says[i] if says else ("yes" if score else "no"),
            target=truth[i] if truth else "yes",
            score=Score(float(score), "", f"v{i}"),
            parts=(parts[i],) if parts else (),
            media=f"v{i}",
            visual=TOKENS,
            per_layer=(TOKENS, TOKENS, len(left), len(left)),
            new=news[i],
            cut=cuts[i],
            logprob=logs[i],
            options=options[i],
        )
    return Ran(result("run", "t", **more), answers, lambda: fates, own.get("benches", ()))
