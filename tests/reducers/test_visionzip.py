import pytest
import torch
from seeds import seeds
from tokens import cosine
from towers import CLIP, check, contents, draw, frame, natural

from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.tower import Tower, TowerView
from winnow.reducers.visionzip import VisionZip


def by_hand(view: TowerView, total: int, targets: int, contextual: str) -> tuple[list[int], list[list[float]]]:
    """Patches in the official order, and their contents, in double precision."""
    attention, keys = [value.double() for value in view.signals.values()]
    features, metric = view.hidden.double().tolist(), keys.mean(1).tolist()
    rank = sorted(range(len(features)), key=lambda i: (-float(attention[i]), i))
    dominant = sorted(rank[: total - targets])
    others = [i for i in range(len(features)) if i not in dominant]
    step = max(1, len(others) // max(1, targets))
    chosen = others[::step][:targets]
    joined: dict[int, list[int]] = {t: [] for t in chosen}
    for i in others:
        if i not in chosen and chosen:
            joined[max(chosen, key=lambda t: (round(cosine(metric[i], metric[t]), 6), -t))].append(i)
    rows = [features[i] for i in dominant]
    for t, members in joined.items():
        if contextual == "mean":
            group = [features[t], *(features[i] for i in members)]
            rows.append([sum(column) / len(group) for column in zip(*group, strict=True)])
        else:
            mean = [sum(features[i][c] for i in members) / max(1, len(members)) for c in range(len(features[t]))]
            rows.append([x + y for x, y in zip(features[t], mean, strict=True)])
    return dominant + chosen, rows


@seeds(250)
def test_visionzip_is_its_loops(seed: int) -> None:
    random = draw(seed)
    tower = Tower(3, 2, *(int(torch.randint(2, 8, (), generator=random)) for _ in range(2)), cls=seed % 4 < 2)
    ratio, share = [0.02, 0.2, 0.4, 0.7, 0.95][seed % 5], [0.15625, 0.5, 0.0][seed % 3]
    contextual, order = ("sum", "mean")[seed % 2], ("official", "raster")[seed % 7 == 0]
    method = VisionZip(ratio=ratio, share=share, contextual=contextual, order=order)
    view = frame(tower, method, tower.used, tower.patches, seed)
    if seed % 2:
        natural(view, seed)
    total = max(1, round(tower.patches * ratio))
    answer = method.reduce(view)
    if total == tower.patches:
        assert answer is None
        return
    check(view, answer)
    places, rows = by_hand(view, total, round(total * share), contextual)
    if order == "raster":
        rows = [row for _, row in sorted(zip(places, rows, strict=True))]
    assert answer.keep.tolist() == sorted(places)
    assert torch.allclose(contents(view, answer), torch.tensor(rows, dtype=torch.double), atol=1e-5)


@pytest.mark.parametrize(("total", "targets"), [(192, 30), (128, 20), (64, 10)])
def test_budgets_of_the_paper(total: int, targets: int) -> None:
    method = VisionZip(ratio=total / 576)
    assert method.plan_tower(2, CLIP)[-1] == total and round(total * method.share) == targets


def test_alike_tokens_are_twice_as_long_in_the_sum() -> None:
    tower = Tower(2, 1, 4, 4, cls=True)
    method = VisionZip(ratio=0.5, share=0.25)
    view = frame(tower, method, 1, 16, 0)
    view.hidden[:] = 1.0
    rows = contents(view, method.reduce(view))
    assert torch.allclose(rows[-2:], torch.tensor(2.0).double()) and torch.allclose(
        rows[:-2], torch.tensor(1.0).double()
    )
    with pytest.raises(WinnowError, match=r"reducer\.share=1"):
        VisionZip(share=1.0)
