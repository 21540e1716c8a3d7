"""How sure a model was: the probability of its answer, and of each option of a question, read off as it decodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import LogitsProcessor

DIGITS = 5


@dataclass(eq=False)
class Confidence(LogitsProcessor):
    """Keeps, and changes nothing of, the log-probabilities of greedy decoding; they stay on the device until read.

    Attributes
    ----------
    options : list of list of Tensor
        Per prompt and option the ids of the tokens that begin it; see `beginnings`.
    """

    options: list[list[torch.Tensor]]
    _first: list[torch.Tensor] = field(default_factory=list)
    _steps: list[torch.Tensor] = field(default_factory=list)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """See `transformers.LogitsProcessor`: one decoding step, shape ``(prompts, vocabulary)``."""
        logs = scores.float().log_softmax(-1)
        if not self._steps:
            for row, options in zip(logs, self.options, strict=True):
                own = [row[ids.to(row.device)].logsumexp(0) for ids in options]
                self._first.append(torch.stack(own) if own else row[:0])
        self._steps.append(logs.amax(-1))
        return scores

    def of_answers(self, lengths: Sequence[int]) -> list[float]:
        """Log-probability of each answer, given how many tokens it has."""
        steps = torch.stack(self._steps, 1).cpu() if self._steps else torch.zeros(len(lengths), 0)
        return [round(float(row[:length].sum()), DIGITS) for row, length in zip(steps, lengths, strict=True)]

    def of_options(self) -> list[list[float]]:
        """Log-probability of each option of each prompt, as the first token of the answer."""
        return [[round(float(value), DIGITS) for value in row.cpu()] for row in self._first]


class Later:
    """Log-probabilities of the tokens behind the first, where rows of several methods decode together and leave."""

    def __init__(self) -> None:
        self._steps: dict[int, list[torch.Tensor]] = {}

    def __call__(self, rows: torch.Tensor, scores: torch.Tensor) -> None:
        """Take one decoding step of the rows that are left, shape ``(rows, vocabulary)``."""
        for row, value in zip(rows.tolist(), scores.float().log_softmax(-1).amax(-1), strict=True):
            self._steps.setdefault(row, []).append(value)

    def of(self, row: int, length: int) -> float:
        """Log-probability of a row's next `length` tokens."""
        return float(torch.stack(self._steps[row][:length]).sum()) if length else 0.0


def beginnings(tokenizer: Any, option: str) -> torch.Tensor:
    """The ids of tokens that are this option, with a space before it or without, in any case; else what it begins with.

    Texts of several tokens do not count, as the first of them may be the space that begins every option.
    """
    words = {option} if len(option) == 1 else {option, option.capitalize(), option.upper()}
    texts = [option, *(f"{space}{word}" for word in sorted(words) for space in ("", " "))]
    found = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    whole = {ids[0] for ids in found if len(ids) == 1 and ids[0] != tokenizer.unk_token_id}
    return torch.tensor(sorted(whole or {found[0][0]}))


def endings(new: torch.Tensor, ends: Any, limit: int) -> list[tuple[int, bool]]:
    """How many tokens each answer has, its end among them, and whether it was cut off at the limit.

    Parameters
    ----------
    new : Tensor
        Generated ids, shape ``(prompts, steps)``.
    ends : int, list of int or None
        Ids that end an answer.
    limit : int
        The most tokens that were allowed.
    """
    ids = {ends} if isinstance(ends, int) else {*(ends or ())}
    found = []
    for row in new.tolist():
        end = next((place for place, token in enumerate(row) if token in ids), None)
        found.append((len(row) if end is None else end + 1, end is None and len(row) >= limit))
    return found
