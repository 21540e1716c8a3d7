"""Where all is alike: places that are taken are never taken again, and who keeps everything merges nothing."""

from typing import Any

import pytest
import torch
from views import layout, view

from winnow.reducers.core.probes import Keys, KeysAhead
from winnow.reducers.core.registry import METHODS, named
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import ClsRow, Tower, TowerKeys, TowerView
from winnow.reducers.hiprune import HiPrune
from winnow.reducers.prumerge import PruMerge
from winnow.reducers.vscan import VScan

TOWER = Tower(blocks=8, used=8, rows=4, cols=4, cls=True)
CLIP = Tower(blocks=24, used=23, rows=24, cols=24, cls=True)


def frame(method: object, **attention: torch.Tensor) -> TowerView:
    signals = {}
    for probe, block in method.tower_probes(TOWER):  # type: ignore[attr-defined]
        wide = isinstance(probe, TowerKeys)
        signals[probe, block] = torch.zeros(16, 1, 2) if wide else attention.get(type(probe).__name__, torch.zeros(16))
    return TowerView.of(Site.features(TOWER), torch.zeros(16, 2), signals)


@pytest.mark.parametrize("ratio", [0.25, 0.5, 0.75])
def test_as_many_are_kept_as_are_asked_for(ratio: float) -> None:
    method = HiPrune(ratio=ratio)
    answer = method.reduce(frame(method))
    assert answer is not None and len(answer.keep) == round(16 * ratio)
    prompt = layout((2, 4, 4))
    nothing = torch.zeros(prompt.length)
    scan = VScan(ratio=ratio, windows=2)
    signals = {(ClsRow(), 5): nothing, (ClsRow(), 22): nothing}
    found = scan.reduce(view(prompt, Site.entrance(32), signals, hidden=torch.randn(prompt.length, 4)))
    assert found is not None and len(found.keep) == scan.plan([span.grid for span in prompt.spans], 32)[0]


def test_uniform_tokens_are_as_many_as_fit_beside_the_best() -> None:
    """With one best token every fifth of 16 is uniform (16 // 1 // 3): 0, 5 and 10; with two every second one."""
    attention = torch.zeros(16)
    attention[0], attention[3] = 2, 1
    for total, kept in ((2, [0, 5]), (3, [0, 5, 10]), (1, [0])):
        method = PruMerge(ratio=total / 16, plus=True, merge=False)
        answer = method.reduce(frame(method, Headless=attention))
        assert answer is not None and answer.keep.tolist() == kept


class Alike(dict[tuple[Any, int], torch.Tensor]):
    """Every token has the same of everything."""

    def __missing__(self, key: tuple[Any, int]) -> torch.Tensor:
        shape = (LARGE.length, 2, 4) if isinstance(key[0], Keys | KeysAhead) else (LARGE.length,)
        return torch.ones(shape)


LARGE = layout((5, 8, 8), (1, 5, 7))
"""With more tokens than small whole numbers."""


OTHERS = {"blind", "compose", "frame_pairs", "none", "oracle", "pixelprune"}
"""They have no such settings, take other methods, documents or pixels."""


@pytest.mark.parametrize("name", sorted(METHODS.keys() - OTHERS))
def test_settings_that_keep_everything_keep_what_is_alike(name: str) -> None:
    method = named(name, {}).keep_all()
    assert method is not None
    for site in method.sites(28):
        signals = Alike()
        for probe, block in method.tower_probes(CLIP) if site.kind == "entrance" else ():
            signals[probe, block] = torch.ones(LARGE.length)
        answer = method.reduce(view(LARGE, site, signals, hidden=torch.ones(LARGE.length, 4)))
        assert answer is None or (answer.weights is None and torch.equal(answer.keep, LARGE.visual))
