import pytest
import torch
from seeds import seeds
from tokens import Rows, cosine, tied
from towers import check, draw, frame, natural

from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.tower import Tower
from winnow.reducers.scope import Scope


def by_hand(features: Rows, attention: list[float], total: int, alpha: float) -> list[int]:
    """The official loop over unselected patches."""
    n, picks = len(features), []
    alike = [[cosine(a, b) for b in features] for a in features]
    covered = [0.0] * n
    for _ in range(total):
        gain = {}
        for j in range(n):
            if j not in picks:
                gain[j] = sum(max(0.0, alike[i][j] - covered[i]) for i in range(n)) * attention[j] ** alpha
        picks.append(max(gain, key=lambda j: (round(gain[j], 9), -j)))
        covered = [max(covered[i], alike[i][picks[-1]]) for i in range(n)]
    return sorted(picks)


@seeds(200)
def test_scope_is_its_loops(seed: int) -> None:
    random = draw(seed)
    tower = Tower(3, 2, *(int(torch.randint(2, 6, (), generator=random)) for _ in range(2)), cls=seed % 4 < 2)
    method = Scope(ratio=[0.02, 0.2, 0.5, 0.9][seed % 4], alpha=[1.0, 0.5, 2.0][seed % 3])
    view = frame(tower, method, tower.used, tower.patches, seed)
    if seed % 2 == 0:
        natural(view, seed)
    real = torch.randn(tower.patches, 6, generator=random, dtype=torch.double)
    object.__setattr__(view, "hidden", tied(tower.patches, seed) if seed % 2 else real)
    (attention,) = view.signals.values()
    total = max(1, round(tower.patches * method.ratio))
    answer = method.reduce(view)
    if total == tower.patches:
        assert answer is None
        return
    check(view, answer)
    assert answer.keep.tolist() == by_hand(view.hidden.tolist(), attention.double().tolist(), total, method.alpha)


def test_the_exponent_is_checked() -> None:
    with pytest.raises(WinnowError, match=r"reducer\.alpha=-1"):
        Scope(alpha=-1.0)
