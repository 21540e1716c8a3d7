import pytest
import torch
from seeds import seeds
from tokens import Rows, cosine, left, natural, tied

from winnow.reducers.core import greedy
from winnow.reducers.core.greedy import max_min
from winnow.reducers.divprune import DivPrune


def by_hand(tokens: Rows, count: int, again: bool) -> list[int]:
    """Algorithm 1, the minimum over the picks computed anew for every pick."""
    n, picks = len(tokens), []
    distance = [[1 - cosine(a, b) for b in tokens] for a in tokens]
    for _ in range(count):
        if picks:
            value = [min(distance[p][j] for p in picks) for j in range(n)]
        else:
            value = [sorted(distance[i][j] for i in range(n))[min(1, n - 1)] for j in range(n)]
        allowed = [j for j in range(n) if again or j not in picks]
        picks.append(max(allowed, key=lambda j: (round(value[j], 9), -j)))
    return sorted(picks)


@pytest.mark.parametrize("variant", ["mended", "official"])
@seeds(150)
def test_divprune_is_algorithm_1(seed: int, variant: str) -> None:
    random = torch.Generator().manual_seed(seed)
    frames, side = (int(torch.randint(1, 4, (), generator=random)) for _ in range(2))
    n = frames * side * 3
    ratio = [0.02, 0.098, 0.25, 0.5, 0.9][seed % 5]
    visual = tied(n, seed)  # exact cosines: ties are ties, and a duplicate is at distance 0
    method = DivPrune(ratio=ratio, variant=variant)
    kept = left(method, visual, (frames, side, 3))
    assert kept == by_hand(visual.tolist(), max(1, round(n * ratio)), variant == "official")


@seeds(100)
def test_divprune_on_real_numbers(seed: int) -> None:
    visual = natural(24, seed)
    assert left(DivPrune(ratio=0.4), visual, (2, 3, 4)) == by_hand(visual.tolist(), 10, again=False)


def test_a_half_is_rounded_to_the_even_number() -> None:
    assert DivPrune(ratio=0.1).plan([(1, 25)], 2) == [2, 2] and DivPrune(ratio=0.1).plan([(1, 35)], 2) == [4, 4]


def test_the_official_code_picks_duplicates_twice() -> None:
    visual = torch.eye(4, dtype=torch.double)[:3].repeat(3, 1)
    kept = left(DivPrune(ratio=6 / 9, variant="official"), visual, (1, 3, 3))
    assert len(kept) == 6 and len(set(kept)) < 6
    assert len(set(left(DivPrune(ratio=6 / 9), visual, (1, 3, 3)))) == 6


def test_rows_computed_one_by_one_are_those_of_the_whole_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    visual = tied(40, 3, width=16)
    whole = max_min(visual, 20)
    monkeypatch.setattr(greedy, "LARGEST", 7 * 40 * 8)
    assert torch.equal(max_min(visual, 20), whole)
