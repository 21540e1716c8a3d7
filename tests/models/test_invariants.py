"""Every invariant of the design on every method and family, eager and sdpa, alone and in a padded batch."""

import itertools
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from sweeping import ONE_SIZE

from winnow.models.check import INVARIANTS, Case, InvariantError, invariants
from winnow.models.check.cases import BACKENDS, BATCHES, batches, tiny_model
from winnow.models.engine import attach
from winnow.models.families import FAMILIES, find_family
from winnow.models.families.support import impossible
from winnow.reducers.aim import AIM
from winnow.reducers.aim_merge import AIMMerge
from winnow.reducers.aim_prune import AIMPrune
from winnow.reducers.aim_temporal import AIMTemporal
from winnow.reducers.ats import ATS
from winnow.reducers.average import Average
from winnow.reducers.blind import Blind
from winnow.reducers.cdpruner import CDPruner
from winnow.reducers.cgsm import CGSM
from winnow.reducers.compose import Compose
from winnow.reducers.core.base import Reducer
from winnow.reducers.core.errors import UnsupportedError
from winnow.reducers.core.schedule import Cuts, First, K, Rounds, Window
from winnow.reducers.dart import DART
from winnow.reducers.divprune import DivPrune
from winnow.reducers.dtd import DTD
from winnow.reducers.dycoke import DyCoke
from winnow.reducers.evit import EViT
from winnow.reducers.evs import EVS
from winnow.reducers.fastv import FastV
from winnow.reducers.fastvid import FastVID
from winnow.reducers.ficoco_v import FiCoCoV
from winnow.reducers.fitprune import FitPrune
from winnow.reducers.flashvid import FlashVID
from winnow.reducers.frame_pairs import FramePairs
from winnow.reducers.framefusion import FrameFusion
from winnow.reducers.globalcom2 import GlobalCom2
from winnow.reducers.grid import GridSample
from winnow.reducers.hiprune import HiPrune
from winnow.reducers.hired import HiRED
from winnow.reducers.holitom import HoliTom
from winnow.reducers.holov import HoloV
from winnow.reducers.illava import ILLaVA
from winnow.reducers.mmtok import MMTok
from winnow.reducers.none import NoReduction
from winnow.reducers.pact import PACT
from winnow.reducers.pdrop import PDrop
from winnow.reducers.pixelprune import PixelPrune
from winnow.reducers.prumerge import PruMerge
from winnow.reducers.prunevid import PruneVid
from winnow.reducers.random import RandomDrop
from winnow.reducers.scissor import Scissor
from winnow.reducers.scope import Scope
from winnow.reducers.sequential import Sequential
from winnow.reducers.sparsevlm import SparseVLM
from winnow.reducers.tome import ToMe
from winnow.reducers.tome_tower import ToMeTower
from winnow.reducers.trim import TRIM
from winnow.reducers.uniform import Uniform
from winnow.reducers.v2drop import V2Drop
from winnow.reducers.vas import VAS
from winnow.reducers.vcast import VCast
from winnow.reducers.vcc import VCC
from winnow.reducers.vidcom2 import VidCom2
from winnow.reducers.visionzip import VisionZip
from winnow.reducers.vispruner import VisPruner
from winnow.reducers.vscan import VScan
from winnow.reducers.vtw import VTW

LAYERS = 6
EARLY = Rounds(start=3, end=5, interval=1)
METHODS: dict[str, Reducer] = {  # those that act in the tower keep a quarter, as many as a pooled frame has slots
    "none": NoReduction(),
    "blind": Blind(),
    "random-entrance": RandomDrop(ratio=0.3),
    "random-entrance-compact": RandomDrop(ratio=0.3, positions="compact"),
    "random-layer": RandomDrop(ratio=0.3, schedule=K(2)),
    "fastv": FastV(ratio=0.25),
    "fastv-first": FastV(R=0.9, schedule=K(1)),
    "fastv-text": FastV(ratio=0.25, rows="text", schedule=K(3)),
    "fastv-all": FastV(ratio=0.25, rows="all", select="lowest"),
    "fastv-compact": FastV(ratio=0.25, positions="compact"),
    "vas": VAS(r=0.4, trigger=0.3, schedule=EARLY),
    "vas-spatial": VAS(ratio=0.2, forced="spatial", both="spatial", normalise=True, schedule=EARLY),
    "vas-compact": VAS(r=0.3, positions="compact", final="drop", schedule=EARLY),
    "random-cuts": RandomDrop(ratio=0.25, schedule=Cuts((2, 4))),
    "sequential": Sequential(ratio=0.2),
    "uniform-layer": Uniform(ratio=0.2, schedule=K(2)),
    "grid": GridSample(a=2, b=3),
    "frame-pairs": FramePairs(schedule=K(2)),
    "spatial-average": Average(ratio=0.25, schedule=Cuts((2, 4))),
    "temporal-average": Average(ratio=0.5, axis="temporal", positions="mean"),
    "vtw": VTW(schedule=K(3)),
    "vtw-compact": VTW(ratio=0.5, positions="compact"),
    "pdrop": PDrop(schedule=Cuts((1, 3, 5))),
    "pdrop-keep": PDrop(ratios=(0.6, 0.2), positions="keep", schedule=Cuts((2, 4))),
    "vcc": VCC(stride=2),
    "vcc-square": VCC(stride=4, mode="2d", remainder="drop", positions="keep", schedule=K(3)),
    "tome": ToMe(ratio=0.4, schedule=First(4)),
    "tome-sized": ToMe(r=7, rope=True, size_weighted=True, positions="mean", schedule=First(3)),
    "aim-merge": AIMMerge(ratio=0.25),
    "aim-merge-official": AIMMerge(ratio=0.375, order="official", counts="paper", positions="keep"),
    "aim-merge-r": AIMMerge(r=(9, 3)),
    "aim-merge-keys": AIMMerge(ratio=0.25, metric="keys"),
    "aim-temporal": AIMTemporal(ratio=0.25),
    "aim-prune": AIMPrune(schedule=Window(2, 5)),
    "aim-prune-same": AIMPrune(apply="same", schedule=Window(1, 4)),
    "aim-prune-text": AIMPrune(prune="text", schedule=Window(2, 5)),
    "aim": AIM(ratio=0.25, schedule=Window(2, 5)),
    "aim-keep": AIM(ratio=0.5, positions="keep", schedule=Window(1, 3)),
    "compose": Compose(PruMerge(ratio=0.25), FastV(ratio=0.5)),
    "prumerge": PruMerge(),
    "prumerge-raster": PruMerge(ratio=0.25, order="raster", positions="keep"),
    "prumerge-plus": PruMerge(plus=True, ratio=0.25, k=4),
    "prumerge-paper": PruMerge(plus=True, variant="paper", ratio=0.25),
    "prumerge-attended": PruMerge(plus=True, attended=0.1),
    "prumerge-aits": PruMerge(merge=False, ratio=0.2),
    "evit": EViT(ratio=0.25),
    "evit-official": EViT(ratio=0.25, order="official", guide="mean"),
    "ats": ATS(ratio=0.25),
    "ats-all": ATS(n=9, candidates="all", positions="keep"),
    "tome-tower": ToMeTower(r=18),
    "tome-tower-sorted": ToMeTower(r=18, order="sorted"),
    "tome-tower-uniform": ToMeTower(r=(18, 9), order="official", weighted=False, proportional=False),
    "cgsm": CGSM(r=18),
    "cgsm-mean": CGSM(r=20, guide="mean", weighted=False),
    "divprune": DivPrune(ratio=0.25),
    "divprune-official": DivPrune(ratio=0.25, variant="official", positions="keep"),
    "evs": EVS(q=0.5),
    "vidcom2": VidCom2(ratio=0.25),
    "vidcom2-official": VidCom2(ratio=0.25, counts="official", positions="compact"),
    "dycoke": DyCoke(positions="keep"),
    "dycoke-official": DyCoke(k=0.5, variant="official"),
    "dycoke-code": DyCoke(positions="keep", decode="code", schedule=K(2)),
    "dycoke-paper": DyCoke(k=0.5, variant="official", decode="paper", p=0.5, schedule=K(1)),
    "dart": DART(ratio=0.3),
    "dart-layer": DART(ratio=0.3, at="layer"),
    "dart-official": DART(R=0.6, at="layer", variant="official", scope="span", schedule=K(3)),
    "vispruner": VisPruner(ratio=0.25),
    "visionzip": VisionZip(ratio=0.25, positions="keep"),
    "visionzip-mean": VisionZip(ratio=0.2, contextual="mean", order="raster"),
    "cdpruner": CDPruner(ratio=0.25),
    "cdpruner-clip": CDPruner(ratio=0.3, variant="clip", text_tower="random"),
    "cdpruner-span": CDPruner(ratio=0.3, split=False, parts="span", blend="exponential"),
    "scope": Scope(ratio=0.25),
    "holov": HoloV(ratio=0.25, runs=3),
    "holov-official": HoloV(ratio=0.4, runs=5, variant="official", positions="keep"),
    "prunevid": PruneVid(ratio=0.25, tau=0.1),
    "prunevid-raster": PruneVid(tau=0.3, order="raster", positions="keep", second=0.5, decode="all", schedule=K(2)),
    "prunevid-kept": PruneVid(ratio=0.8, tau=0.3, positions="keep", second=0.5, schedule=K(3)),
    "vscan": VScan(ratio=0.25, second=0.5, windows=2, schedule=K(3)),
    "vscan-exact": VScan(ratio=0.4, second=1.0, windows=2, counts="exact", positions="keep", schedule=K(2)),
    "fastvid": FastVID(ratio=0.5, segments=2),
    "fastvid-head": FastVID(ratio=0.4, segments=3, variant="head", pooling_head="random"),
    "holitom": HoliTom(ratio=0.3, tau=0.3),
    "holitom-outer": HoliTom(ratio=0.4, tau=0.2, D=0.5, second=1.0, order="raster", positions="keep"),
    "flashvid": FlashVID(ratio=0.3, segments=1, schedule=K(3)),
    "flashvid-official": FlashVID(ratio=0.3, variant="official", version="v1", positions="keep"),
    "sparsevlm": SparseVLM(schedule=Cuts((2, 3, 5))),
    "sparsevlm-plus": SparseVLM(ratio=0.5, version="+", heads=2, schedule=Cuts((1, 3, 4))),
    "mmtok": MMTok(ratio=0.3),
    "vcast": VCast(ratio=0.25),
    "dtd": DTD(tau=0.1),
    "hiprune": HiPrune(ratio=0.25, alpha=0.5),
    "v2drop": V2Drop(schedule=Cuts((1, 3, 5))),
    "v2drop-ratio": V2Drop(ratio=0.3, positions="compact", schedule=Cuts((2, 4))),
    "fitprune": FitPrune(ratio=0.3),
    "fitprune-lowest": FitPrune(ratio=0.6, select="lowest", positions="compact", scope="span"),
    "framefusion": FrameFusion(ratio=0.5, tau=0.1),
    "framefusion-pruned": FrameFusion(ratio=0.4, tau=0.9, layers=8, positions="compact"),
    "pixelprune": PixelPrune(metric="mae", tau=0.62),
    "pixelprune-raster": PixelPrune(metric="rmse", tau=0.76, scan="raster", anchored=False),
    "scissor": Scissor(tau=0.1),
    "scissor-keep": Scissor(tau=0.2, positions="keep"),
    "trim": TRIM(ratio=0.2, text_tower="random"),
    "trim-outliers": TRIM(text_tower="random", select="most", order="raster", positions="keep"),
    "hired": HiRED(ratio=0.3, newlines="keep", positions="keep"),
    "hired-official": HiRED(variant="official"),
    "globalcom2": GlobalCom2(ratio=0.3, order="raster", positions="keep"),
    "globalcom2-official": GlobalCom2(variant="official"),
    "illava": ILLaVA(ratio=0.25, schedule=K(2)),
    "illava-attention": ILLaVA(ratio=0.2, at=(0.0, 0.5), weights="attention", positions="keep", schedule=K(3)),
    "pact": PACT(cutoff=0.6, schedule=K(2)),
    "pact-light": PACT(cutoff=0.8, weighed=False, scope="span", positions="compact", schedule=K(3)),
    "ficoco-v": FiCoCoV(ratio=0.25),
    "ficoco-v-official": FiCoCoV(ratio=0.5, start=0.0, variant="official", positions="keep"),
    "vas-reset": VAS(r=0.3, history="reset", rows="last", schedule=EARLY),
}


THOROUGH = {"llava": ("eager", "padded"), "qwen2_vl": ("sdpa", "films")}
"""Families of unlike kinds, on which every method is checked in each run of the tests; its further settings in turn."""

COVERING = {
    "llava_next": ("sdpa", "image"),
    "llava_onevision": ("sdpa", "video"),
    "minicpmv4_6": ("sdpa", ONE_SIZE),
}
"""Where another batch than the padded one stands for the family: one of tiles, and one whose grid is whole."""

TILED = {"llava_onevision", "llava_next_video"}
"""Families that cut images into tiles behind the tower, which needs the whole grid."""

KINDS = {
    "none", "random-entrance", "fastv", "vas", "pdrop-keep", "tome", "aim-keep", "aim-prune", "prumerge", "tome-tower"
}  # fmt: skip
"""A method of each kind, checked on every family in each run; the rest of the matrix is marked `full`."""


ALIKE = {
    "qwen2_5_vl": {"none", "fastv", "vas", "tome", "aim-keep"},
    **dict.fromkeys(
        ("pllava", "vila", "longva", "llava_video"), KINDS - {"random-entrance", "vas", "pdrop-keep", "aim-prune"}
    ),
    "qwen3_vl_moe": {"none", "fastv", "aim-keep"},
    "qwen3_5": {"none", "random-entrance", "random-layer", "fastv"},
    "qwen3_5_moe": {"fastv"},
    "smolvlm": {"none", "fastv", "tome", "aim-keep"},
    "glm4v": {"none", "fastv", "tome", "aim-keep"},
    "glm46v": {"fastv"},
    "glm4v_moe": {"fastv"},
    "video_llama_3": {"none", "random-entrance", "fastv"},
    "gemma3": {"none", "random-entrance", "fastv", "vas", "tome", "aim-prune"},
    "minicpmv4_6": {"none", "random-entrance", "fastv"},
    "perception_lm": {"none", "random-entrance", "fastv", "tome"},
    "molmo2": {"none", "random-entrance", "fastv", "tome"},
    "gemma4": {"none", "fastv", "tome"},
    "gemma4_e": {"none", "fastv", "tome"},
}
"""Fewer kinds for a family that differs from others in its prompts, or in its layers' norms and MLP alone."""


MADE_FOR = {
    **dict.fromkeys(("hired", "hired-official", "globalcom2", "globalcom2-official"), "llava_next"),
    "fastvid-head": "llava_onevision",
}
"""The family that a method is made for, on which it is checked in each run."""


def thorough() -> Iterator[tuple[str, str]]:
    """Family and name of what is checked thoroughly: the first settings of a method on each family, others on one."""
    known, turns = set(), dict.fromkeys(THOROUGH, 0)
    for name, method in METHODS.items():
        homes = sorted((f for f in THOROUGH if not impossible(find_family(f), method, LAYERS)), key=turns.__getitem__)
        if type(method) in known and homes:
            turns[homes[0]] += 1
            yield homes[0], name
        else:
            yield from ((family, name) for family in THOROUGH)
        known.add(type(method))


def matrix() -> Iterator[Any]:
    chosen = {*thorough()}
    for family in FAMILIES:
        usual = COVERING.get(family, ("sdpa", "films" if "films" in batches(family) else "padded"))
        for attn, batch, method in itertools.product(BACKENDS, batches(family), METHODS):
            sampled = usual if method in ALIKE.get(family, KINDS) else None
            covering = sampled
            if family in THOROUGH:
                covering = THOROUGH[family] if (family, method) in chosen else None
            if method in MADE_FOR:
                covering = usual if family == MADE_FOR[method] else None
            marks = () if (attn, batch) == covering else pytest.mark.full
            yield pytest.param(family, attn, batch, method, marks=marks)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make the cases that are asked for: the whole matrix takes many seconds to collect, and again to leave out."""
    if metafunc.function is test_every_invariant_holds:
        covering = "not full" in metafunc.config.getoption("markexpr")
        cases = [case for case in matrix() if not (covering and case.marks)]
        metafunc.parametrize(("family", "attn", "batch", "method"), cases)


def test_every_invariant_holds(family: str, attn: str, batch: str, method: str) -> None:
    case = Case(tiny_model(family, attn, LAYERS), METHODS[method], batches(family)[batch])
    if impossible(case.loaded.family, case.reducer, LAYERS):
        with pytest.raises(UnsupportedError, match=f"on {family}"), attach(case.loaded.model, case.reducer):
            pass
    elif needs_tower(
        case, family in TILED and batch != "video", family == "llava_next" and not case.reducer.reads_tiles
    ):
        with pytest.raises(UnsupportedError, match=r"tiles of an any-resolution image|slots: keep fewer"):
            INVARIANTS["repeatable"](case)
    else:
        assert [fault for invariant in INVARIANTS if (fault := broken(invariant, case))] == []


def broken(invariant: str, case: Case) -> str | None:
    """Tell what is wrong; an adaptive method may be refused, as it may keep more than a pooled frame has slots for."""
    try:
        INVARIANTS[invariant](case)
    except InvariantError as error:
        return f"{invariant}: {error}"
    except UnsupportedError as refusal:
        if not (case.reducer.adaptive and "slots: keep fewer" in str(refusal)):
            raise
    return None


def test_the_invariants_share_what_they_generate(monkeypatch: pytest.MonkeyPatch) -> None:
    """One plain and one reduced batch; again whatever looks at a second run; plain ones for all methods together."""
    calls = Counter[bool]()
    real = invariants.__dict__["_generate"]
    monkeypatch.setattr(
        invariants, "_generate", lambda case, reducer: calls.update([reducer is None]) or real(case, reducer)
    )
    loaded = tiny_model.__wrapped__("llava", "sdpa", LAYERS)
    for method, expected in ("fastv", {True: 3, False: 5}), ("vtw", {True: 4, False: 10}):
        case = Case(loaded, METHODS[method], BATCHES["video"])
        assert [fault for invariant in INVARIANTS if (fault := broken(invariant, case))] == []
        assert calls == expected


def needs_tower(case: Case, to_act: bool, to_read: bool) -> bool:
    """Whether a method acts in the vision tower, or reads it from the entrance."""
    model: Any = case.loaded.model
    tower = case.loaded.family.tower(model.config)
    if tower is None or not (to_act or to_read):
        return False
    acts = case.reducer.acts_in_tower(LAYERS, tower)
    return acts if to_act and acts else not acts and bool(case.reducer.tower_probes(tower))
