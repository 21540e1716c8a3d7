import pytest
import torch
from seeds import seeds
from tokens import Rows, cosine, tied
from towers import check, draw, frame, natural

from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.tower import Tower
from winnow.reducers.vispruner import VisPruner


def by_hand(features: Rows, attention: list[float], total: int, important: float) -> list[int]:
    """The official loops, with an even half that is one larger where the number of patches is odd."""
    rank = sorted(range(len(features)), key=lambda i: (-attention[i], i))
    first = int(total * important)
    kept, left = rank[:first], rank[first:]
    while len(left) > total - first:
        removed = min(8, len(left) - (total - first))
        even, odd = left[::2], left[1::2]
        best = {i: max((round(cosine(features[i], features[j]), 9) for j in odd), default=0.0) for i in even}
        falling = sorted(even, key=lambda i: (-best[i], even.index(i)))
        left = falling[removed:] + odd
    return sorted(kept + (left if total > first else []))


def case(seed: int, method: VisPruner) -> tuple[list[int], list[int]]:
    random = draw(seed)
    tower = Tower(3, 2, *(int(torch.randint(2, 8, (), generator=random)) for _ in range(2)), cls=seed % 4 < 2)
    view = frame(tower, method, tower.used, tower.patches, seed)
    if seed % 5:
        natural(view, seed)
    real = torch.randn(tower.patches, 6, generator=random, dtype=torch.double)
    object.__setattr__(view, "hidden", tied(tower.patches, seed) if seed % 2 else real)
    answer = method.reduce(view)
    (attention,) = view.signals.values()
    expected = by_hand(
        view.hidden.tolist(), attention.tolist(), method.count(view.site, tower.grid, tower.patches), method.important
    )
    if answer is None:
        return list(range(tower.patches)), expected
    check(view, answer)
    return answer.keep.tolist(), expected


@seeds(250)
def test_vispruner_is_its_loops(seed: int) -> None:
    method = VisPruner(ratio=[0.02, 0.1, 0.25, 0.6, 0.95][seed % 5], important=[0.5, 0.0, 0.3][seed % 3])
    kept, expected = case(seed, method)
    assert kept == expected


@pytest.mark.parametrize("seed", range(30))
def test_fastervlm_is_the_most_attended(seed: int) -> None:
    kept, expected = case(seed, VisPruner(ratio=0.3, important=1.0))
    assert kept == expected


def test_an_odd_rest_is_thinned_out_too() -> None:
    assert VisPruner(ratio=58 / 576).plan_tower(2, Tower(24, 23, 24, 24, cls=True))[-1] == 58
    kept, _ = case(8, VisPruner(ratio=0.9))
    assert len(kept) > 1
    with pytest.raises(WinnowError, match=r"reducer\.important=2"):
        VisPruner(important=2)
