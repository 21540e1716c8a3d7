"""Frames made by hand, for the methods of the vision tower without a model."""

import torch
from torch import Tensor

from winnow.reducers.core.base import Reducer
from winnow.reducers.core.reduction import Reduction
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import Tower, TowerKeys, TowerProbe, TowerValues, TowerView

CLIP = Tower(blocks=24, used=23, rows=24, cols=24, cls=True)
SIGLIP = Tower(blocks=26, used=26, rows=27, cols=27, cls=False)


def draw(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def tied_keys(n: int, seed: int) -> Tensor:
    """Keys of four equal heads: their mean and all of them have exact cosines with many ties; some are zero vectors."""
    random = draw(seed)
    mean = torch.randint(0, 2, (n, 4), generator=random) * 2.0 - 1
    mean[torch.rand(n, generator=random) < 0.15] = 0
    return torch.stack([mean] * 4, 1)


def tied_scores(n: int, seed: int) -> Tensor:
    """Few different values, exact in any precision, zero among them."""
    return torch.randint(0, 6, (n,), generator=draw(seed)) / 64


def frame(
    tower: Tower, method: Reducer, block: int, n: int, seed: int, dtype: torch.dtype = torch.float32
) -> TowerView:
    """A frame of which `n` patches are present at a block, with the signals that the method asks for."""
    random = draw(seed)
    index = torch.randperm(tower.patches, generator=random)[:n].sort().values
    size = torch.randint(1, 5, (n,), generator=random)
    hidden = torch.randn(n, 6, generator=random).to(dtype)
    signals: dict[tuple[TowerProbe, int], Tensor] = {}
    for salt, (probe, at) in enumerate(method.tower_probes(tower)):
        wide = isinstance(probe, TowerKeys | TowerValues)
        values = tied_keys(n, seed + salt) if wide else tied_scores(n, seed + salt)
        signals[probe, at] = values.to(dtype) if wide else values
    return TowerView(site(tower, block), hidden, index, size, signals)


def site(tower: Tower, block: int) -> Site:
    """Inside a block; at the features where it is the number of those that they pass."""
    return Site.tower(block, tower) if block < tower.used else Site.features(tower)


def sites(method: Reducer, tower: Tower) -> list[Site]:
    """Where a method acts in a tower."""
    return [at for at in method.sites(28, tower) if at.in_tower]


def leaves(method: Reducer, tower: Tower) -> int:
    """Tokens of a frame that a method plans to leave."""
    return method.plan_tower(28, tower)[-1]


def natural(view: TowerView, seed: int) -> TowerView:
    """The same frame with signals of real numbers, without ties."""
    random = draw(seed)
    for (probe, _), values in view.signals.items():
        noise = torch.randn(values.shape, generator=random).to(values.dtype)
        values.copy_(noise if isinstance(probe, TowerKeys | TowerValues) else noise.softmax(0))
    return view


def contents(view: TowerView, answer: Reduction) -> Tensor:
    """What stands at the places of `answer.keep`, in float64."""
    if answer.weights is None:
        return view.hidden[torch.isin(view.index, answer.keep)].double()
    return answer.weights.to_dense().double() @ view.hidden.double()  # not `Reduction.apply`, whose sums are coarser


def walk(tower: Tower, method: Reducer, seed: int = 0) -> list[int]:
    """Tokens of one frame after each block where the method acts."""
    counts, present = [], tower.patches
    for at in sites(method, tower):
        answer = method.reduce(frame(tower, method, at.number, present, seed))
        present = present if answer is None else len(answer.keep)
        counts.append(present)
    return counts


def check(view: TowerView, answer: Reduction) -> None:
    """What every answer owes to the engine."""
    assert answer.keep.dtype == torch.long
    assert answer.keep.tolist() == sorted(set(answer.keep.tolist()))
    assert torch.isin(answer.keep, view.index).all()
    if answer.weights is not None:
        assert answer.weights.is_sparse
        assert answer.weights.shape == (len(answer.keep), len(view.index))
        assert torch.isfinite(answer.weights.to_dense()).all()
