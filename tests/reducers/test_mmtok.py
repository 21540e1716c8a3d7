"""MMTok against its released code, written as loops."""

import math

import pytest
import torch
from seeds import seeds
from tokens import Rows, cosine, left, natural, prompt_of
from views import layout, view

from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.greedy import coverage
from winnow.reducers.mmtok import MMTok


def shares(asking: list[float], tokens: Rows, temperature: float) -> list[float]:
    logits = [cosine(asking, token) / temperature for token in tokens]
    weights = [math.exp(logit - max(logits)) for logit in logits]
    return [weight / sum(weights) for weight in weights]


def released(tokens: Rows, text: Rows, count: int, method: MMTok) -> list[int]:
    rows = [[p / len(text) for p in shares(word, tokens, method.text)] for word in text]
    rows += [[q * method.alpha / len(tokens) for q in shares(token, tokens, method.vision)] for token in tokens]
    covered, picks = [0.0] * len(rows), []
    for _ in range(count):
        gain = {j: sum(max(0.0, row[j] - c) for row, c in zip(rows, covered, strict=True)) for j in range(len(tokens))}
        picks.append(max((j for j in gain if j not in picks), key=lambda j: (round(gain[j], 9), -j)))
        covered = [max(c, row[picks[-1]]) for row, c in zip(rows, covered, strict=True)]
    return sorted(picks)


@seeds(150)
def test_it_is_the_released_code(seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    n = int(torch.randint(2, 25, (), generator=random))
    method = MMTok(ratio=[0.2, 0.5, 0.9][seed % 3], text=[0.1, 0.5][seed % 2], alpha=[0.5, 2.0, 0.0][seed // 2 % 3])
    prompt = layout((1, 1, n), tail=1 + seed % 6)
    states = prompt_of(natural(n, seed), prompt, seed)
    answer = method.reduce(view(prompt, hidden=states))
    kept = prompt.visual.tolist() if answer is None else answer.keep.tolist()
    count = max(1, int(method.ratio * n))  # the released code's; its 0 would leave no picture
    expected = released(states[prompt.visual].tolist(), states[prompt.question].tolist(), count, method)
    assert [place - 3 for place in kept] == expected


@seeds(100)
def test_asking_few_tokens_anew_changes_nothing(seed: int) -> None:
    """More tokens than are asked at once, some alike; the plain greedy loop asks all."""
    random = torch.Generator().manual_seed(seed)
    n = int(torch.randint(30, 120, (), generator=random))
    stands = torch.randint(-3, 9, (n, 12), generator=random).double() / 8
    weight = torch.randint(0, 4, (n,), generator=random).double() if seed % 2 else torch.ones(n).double()
    covered, picks = torch.zeros(12, dtype=torch.double), []
    for _ in range(n // 2):
        gain = (stands - covered).clamp_min(0).sum(1) * weight
        gain[picks] = -math.inf
        picks.append(int(gain.argmax()))
        covered = covered.maximum(stands[picks[-1]])
    assert coverage(stands, n // 2, weight).tolist() == picks


def test_everything_and_mistakes() -> None:
    assert left(MMTok(ratio=1.0), natural(8, 0), (1, 2, 4)) == list(range(8))
    with pytest.raises(WinnowError, match="vision=0"):
        MMTok(vision=0)
