"""The operations of each method's own, in closed form: 144 tokens of 4 frames at width 64, heads of 16."""

from collections.abc import Callable
from typing import Any

import pytest

from winnow.reducers.aim_temporal import AIMTemporal
from winnow.reducers.average import Average
from winnow.reducers.cdpruner import CDPruner
from winnow.reducers.cgsm import CGSM
from winnow.reducers.compose import Compose
from winnow.reducers.core.layout import Grid, Width
from winnow.reducers.core.schedule import K
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import Tower
from winnow.reducers.dart import DART
from winnow.reducers.divprune import DivPrune
from winnow.reducers.dtd import DTD
from winnow.reducers.dycoke import DyCoke
from winnow.reducers.evit import EViT
from winnow.reducers.evs import EVS
from winnow.reducers.fastv import FastV
from winnow.reducers.fastvid import FastVID
from winnow.reducers.ficoco_v import FiCoCoV
from winnow.reducers.flashvid import FlashVID
from winnow.reducers.framefusion import FrameFusion
from winnow.reducers.holitom import HoliTom
from winnow.reducers.holov import HoloV
from winnow.reducers.illava import ILLaVA
from winnow.reducers.mmtok import MMTok
from winnow.reducers.pact import PACT
from winnow.reducers.prumerge import PruMerge
from winnow.reducers.prunevid import PruneVid
from winnow.reducers.scissor import Scissor
from winnow.reducers.scope import Scope
from winnow.reducers.tome import ToMe
from winnow.reducers.tome_tower import ToMeTower
from winnow.reducers.vcast import VCast
from winnow.reducers.vcc import VCC
from winnow.reducers.vidcom2 import VidCom2
from winnow.reducers.visionzip import VisionZip
from winnow.reducers.vispruner import VisPruner
from winnow.reducers.vscan import VScan

GRID, N, T, F, H, D = Grid(4, 36, 6), 144, 36, 4, 64, 16
WIDTH, TOWER = Width(H, D), Tower(6, 6, 6, 6, cls=True)
AT, LAYER, INSIDE, BLOCK = Site.entrance(28), Site.layer(4, 28), Site.inside(4, 28), Site.tower(3, TOWER)
FEATURES = Site.features(TOWER)
MATCHING = 2 * (N // 2) * (N - N // 2) * D + 4 * N * D
"""Half against half by keys of one head, norms and means."""

CASES: dict[str, tuple[Any, Site, Callable[[int], float]]] = {
    "aim_temporal": (AIMTemporal(ratio=0.25), AT, lambda k: (2 + 1) * (2 * T**2 * H + 8 * T * H)),
    "aim_temporal aligned": (AIMTemporal(ratio=0.5, aligned=True), AT, lambda k: 2 * 8 * T * H),
    "average": (Average(ratio=0.5), AT, lambda k: N * H),
    "cdpruner": (CDPruner(ratio=0.25, split=False), AT, lambda k: F * (2 * T**2 * H + T * 10**2)),
    "cdpruner split": (CDPruner(ratio=0.25, split=True), AT, lambda k: F * 2 * (2 * 18**2 * H + 18 * 5**2)),
    "cgsm": (CGSM(r=4), BLOCK, lambda k: (2 * N**2 + 4 * N) * D + 2 * N * H),
    "compose": (Compose(DivPrune(ratio=0.25), FastV(ratio=0.5)), AT, lambda k: 2 * N**2 * H + 2 * N * 36),
    "compose inside": (Compose(DivPrune(ratio=0.25), FastV(ratio=0.5, schedule=K(4))), LAYER, lambda k: 0),
    "dart": (DART(ratio=0.25, pivots=3, text_pivots=2), AT, lambda k: (4 + 2 * 5) * N * H),
    "divprune": (DivPrune(ratio=0.25), AT, lambda k: 2 * N**2 * H + 2 * N * 36),
    "dtd": (DTD(), AT, lambda k: 6 * N * H),
    "dycoke": (DyCoke(), AT, lambda k: 6 * N * H),
    "evit": (EViT(ratio=0.5), BLOCK, lambda k: 2 * N * H),
    "evit without the fused token": (EViT(ratio=0.5, fuse=False), BLOCK, lambda k: 0),
    "evs": (EVS(), AT, lambda k: 6 * N * H),
    "ficoco_v": (FiCoCoV(), BLOCK, lambda k: (4 * N + (2 * N + 4) * (N - k)) * H),
    "flashvid": (FlashVID(), AT, lambda k: 6 * T * N * H),
    "flashvid inside": (FlashVID(), LAYER, lambda k: 0),
    "framefusion": (FrameFusion(ratio=0.3), LAYER, lambda k: 6 * N * H),
    "holitom": (HoliTom(), AT, lambda k: (6 + 2 * T) * N * H),
    "holov": (HoloV(runs=4), AT, lambda k: 2 * N * (T / 4) * H),
    "illava": (ILLaVA(), LAYER, lambda k: 2 * (N - k + 1) * H),
    "mmtok": (MMTok(ratio=0.25), AT, lambda k: 2 * N**2 * (H + 36 // 8)),
    "pact": (PACT(ratio=0.25, share=0.5), LAYER, lambda k: 2 * (72**2 + 72 * k) * D + 2 * N * H),
    "prumerge": (PruMerge(ratio=0.25, k=20), FEATURES, lambda k: 2 * k * (N + 20) * H),
    "prumerge without merging": (PruMerge(ratio=0.25, merge=False), FEATURES, lambda k: 0),
    "prunevid": (PruneVid(), AT, lambda k: (2 * F * T**2 + 2 * F**2 + 6 * N) * H),
    "scissor": (Scissor(), AT, lambda k: 2 * (T * N + k**2 + k * N) * H),
    "scope": (Scope(ratio=0.25), FEATURES, lambda k: 2 * N**2 * H + 3 * N**2 * k),
    "tome": (ToMe(r=5), INSIDE, lambda k: MATCHING + 2 * N * H),
    "tome_tower": (ToMeTower(r=4), BLOCK, lambda k: MATCHING + 2 * N * H),
    "tome_tower behind": (ToMeTower(r=4), FEATURES, lambda k: 0),
    "vcast": (VCast(), AT, lambda k: 8 * N * H),
    "vcc": (VCC(), AT, lambda k: N * H),
    "vidcom2": (VidCom2(), AT, lambda k: 9 * N * H),
    "visionzip": (VisionZip(), FEATURES, None),  # type: ignore[dict-item]
    "vispruner": (VisPruner(important=0.5), FEATURES, lambda k: 2 * N**2 * H),
    "vispruner by importance": (VisPruner(important=1.0), FEATURES, lambda k: 0),
    "vscan inside": (VScan(), LAYER, lambda k: 0),
}


@pytest.mark.parametrize("name", [name for name in CASES if name != "visionzip"])
def test_work(name: str) -> None:
    method, site, cost = CASES[name]
    assert method.work(site, GRID, N, WIDTH) == pytest.approx(cost(method.count(site, GRID, N)), rel=1e-12)


def test_visionzip_assigns_what_is_dropped_to_its_targets() -> None:
    method = VisionZip()
    kept = method.count(FEATURES, GRID, N)
    targets = round(kept * method.share)
    assert 0 < targets < kept < N
    assert method.work(FEATURES, GRID, N, WIDTH) == 2 * (N - kept) * targets * D + 2 * (N - kept) * H


def test_what_merges_inside_the_llm_compares_what_stays_with_what_goes() -> None:
    method = HoliTom(second=0.25)
    assert method.work(LAYER, GRID, 40, WIDTH) == 2 * 10 * 30 * H


def test_framefusion_is_done_at_its_ratio() -> None:
    assert (
        FrameFusion(ratio=0.5).work(LAYER, GRID, 72, WIDTH) == 0 != FrameFusion(ratio=0.5).work(LAYER, GRID, 73, WIDTH)
    )


def test_fastvid_compares_with_anchors_of_frames_and_segments() -> None:
    method = FastVID(segments=3)
    assert method.work(AT, GRID, N, WIDTH) == 2 * N * (T + 2 * method._shares(T)[1]) * H


def test_vscan_assigns_all_tokens_to_those_chosen() -> None:
    method = VScan(ratio=0.25)
    assert method.work(AT, GRID, N, WIDTH) == 2 * N * (sum(method._shares(GRID)) + 1) * H
