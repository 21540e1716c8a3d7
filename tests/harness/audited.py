"""Finished runs as tables, made by hand."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from written import result

from winnow.harness.audit.runs import Answer, Ran
from winnow.harness.common.run_files import Score
from winnow.harness.run.record import Row

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
    own = {name: more.pop(name) for name in ("benches", "budgets") if name in more}
    sinks = more.pop("sinks", [()] * len(scores))
    ranks = more.pop("rank", [None] * len(scores))
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
            sinks=sinks[i],
            rank=ranks[i],
        )
    return Ran(result("run", "t", **more), answers, lambda: fates, **own)


def of_rows(rows: Sequence[Row], right: Sequence[str]) -> Ran:
    """A run of one task from what was answered, and from what would have been right."""
    answers = {
        row.key: Answer(
            text=row.answer,
            target=right[row.doc_id],
            score=Score(float(row.answer == right[row.doc_id]), "", f"v{row.doc_id}"),
            media=f"v{row.doc_id}",
            visual=row.visual,
            per_layer=tuple(row.visual_per_layer),
        )
        for row in rows
    }
    fates = {row.key: row.tokens[0] for row in rows}
    return Ran(result("run", "t"), answers, lambda: fates)
