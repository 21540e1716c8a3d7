"""The public face of Winnow: ``from winnow import attach, FastV``; nothing heavy is imported before a name is used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from winnow.reducers.core.registry import METHODS

if TYPE_CHECKING:
    from winnow.harness.results.tables.tidy import load_runs as load_runs
    from winnow.models.engine import PromptTrace as PromptTrace
    from winnow.models.engine import Trace as Trace
    from winnow.models.engine import attach as attach
    from winnow.models.engine import reuse_tower as reuse_tower
    from winnow.models.engine import trained_positions as trained_positions
    from winnow.reducers.aim import AIM as AIM
    from winnow.reducers.aim_merge import AIMMerge as AIMMerge
    from winnow.reducers.aim_prune import AIMPrune as AIMPrune
    from winnow.reducers.aim_temporal import AIMTemporal as AIMTemporal
    from winnow.reducers.ats import ATS as ATS
    from winnow.reducers.average import Average as Average
    from winnow.reducers.blind import Blind as Blind
    from winnow.reducers.cdpruner import CDPruner as CDPruner
    from winnow.reducers.cgsm import CGSM as CGSM
    from winnow.reducers.compose import Compose as Compose
    from winnow.reducers.core import Chooser as Chooser
    from winnow.reducers.core import Grid as Grid
    from winnow.reducers.core import Layout as Layout
    from winnow.reducers.core import Reducer as Reducer
    from winnow.reducers.core import Reduction as Reduction
    from winnow.reducers.core import Scorer as Scorer
    from winnow.reducers.core import Site as Site
    from winnow.reducers.core import Span as Span
    from winnow.reducers.core import Tower as Tower
    from winnow.reducers.core import TowerView as TowerView
    from winnow.reducers.core import UnsupportedError as UnsupportedError
    from winnow.reducers.core import View as View
    from winnow.reducers.core import WinnowError as WinnowError
    from winnow.reducers.core.decoding import StepView as StepView
    from winnow.reducers.core.pixels import PixelView as PixelView
    from winnow.reducers.core.probes import Change as Change
    from winnow.reducers.core.probes import HighestRows as HighestRows
    from winnow.reducers.core.probes import Keys as Keys
    from winnow.reducers.core.probes import KeysAhead as KeysAhead
    from winnow.reducers.core.probes import LookAhead as LookAhead
    from winnow.reducers.core.probes import MeanQuery as MeanQuery
    from winnow.reducers.core.probes import PageRank as PageRank
    from winnow.reducers.core.probes import PeakRows as PeakRows
    from winnow.reducers.core.probes import Raters as Raters
    from winnow.reducers.core.probes import Rows as Rows
    from winnow.reducers.core.probes import mean_query_attention as mean_query_attention
    from winnow.reducers.core.probes import page_rank as page_rank
    from winnow.reducers.core.probes import peak_attention as peak_attention
    from winnow.reducers.core.probes import rated_attention as rated_attention
    from winnow.reducers.core.probes import received_attention as received_attention
    from winnow.reducers.core.schedule import Cuts as Cuts
    from winnow.reducers.core.schedule import First as First
    from winnow.reducers.core.schedule import K as K
    from winnow.reducers.core.schedule import Rounds as Rounds
    from winnow.reducers.core.schedule import Window as Window
    from winnow.reducers.core.tower import ClsLogits as ClsLogits
    from winnow.reducers.core.tower import ClsRow as ClsRow
    from winnow.reducers.core.tower import ColumnMean as ColumnMean
    from winnow.reducers.core.tower import Headless as Headless
    from winnow.reducers.core.tower import JoinedHeads as JoinedHeads
    from winnow.reducers.core.tower import PooledByHead as PooledByHead
    from winnow.reducers.core.tower import TextMatch as TextMatch
    from winnow.reducers.core.tower import TowerKeys as TowerKeys
    from winnow.reducers.core.tower import TowerValues as TowerValues
    from winnow.reducers.core.tower import Uncut as Uncut
    from winnow.reducers.core.tower_statistics import cls_attention as cls_attention
    from winnow.reducers.core.tower_statistics import cls_logits as cls_logits
    from winnow.reducers.core.tower_statistics import headless_attention as headless_attention
    from winnow.reducers.core.tower_statistics import joined_heads as joined_heads
    from winnow.reducers.core.tower_statistics import mean_attention as mean_attention
    from winnow.reducers.core.tower_statistics import text_match as text_match
    from winnow.reducers.dart import DART as DART
    from winnow.reducers.divprune import DivPrune as DivPrune
    from winnow.reducers.dtd import DTD as DTD
    from winnow.reducers.dycoke import DyCoke as DyCoke
    from winnow.reducers.evit import EViT as EViT
    from winnow.reducers.evs import EVS as EVS
    from winnow.reducers.fastv import FastV as FastV
    from winnow.reducers.fastvid import FastVID as FastVID
    from winnow.reducers.ficoco_v import FiCoCoV as FiCoCoV
    from winnow.reducers.fitprune import FitPrune as FitPrune
    from winnow.reducers.flashvid import FlashVID as FlashVID
    from winnow.reducers.frame_pairs import FramePairs as FramePairs
    from winnow.reducers.framefusion import FrameFusion as FrameFusion
    from winnow.reducers.globalcom2 import GlobalCom2 as GlobalCom2
    from winnow.reducers.grid import GridSample as GridSample
    from winnow.reducers.hiprune import HiPrune as HiPrune
    from winnow.reducers.hired import HiRED as HiRED
    from winnow.reducers.holitom import HoliTom as HoliTom
    from winnow.reducers.holov import HoloV as HoloV
    from winnow.reducers.illava import ILLaVA as ILLaVA
    from winnow.reducers.mmtok import MMTok as MMTok
    from winnow.reducers.none import NoReduction as NoReduction
    from winnow.reducers.oracle import Oracle as Oracle
    from winnow.reducers.pact import PACT as PACT
    from winnow.reducers.pdrop import PDrop as PDrop
    from winnow.reducers.pixelprune import PixelPrune as PixelPrune
    from winnow.reducers.prumerge import PruMerge as PruMerge
    from winnow.reducers.prunevid import PruneVid as PruneVid
    from winnow.reducers.random import RandomDrop as RandomDrop
    from winnow.reducers.scissor import Scissor as Scissor
    from winnow.reducers.scope import Scope as Scope
    from winnow.reducers.sequential import Sequential as Sequential
    from winnow.reducers.sparsevlm import SparseVLM as SparseVLM
    from winnow.reducers.tome import ToMe as ToMe
    from winnow.reducers.tome_tower import ToMeTower as ToMeTower
    from winnow.reducers.trim import TRIM as TRIM
    from winnow.reducers.uniform import Uniform as Uniform
    from winnow.reducers.v2drop import V2Drop as V2Drop
    from winnow.reducers.vas import VAS as VAS
    from winnow.reducers.vcast import VCast as VCast
    from winnow.reducers.vcc import VCC as VCC
    from winnow.reducers.vidcom2 import VidCom2 as VidCom2
    from winnow.reducers.visionzip import VisionZip as VisionZip
    from winnow.reducers.vispruner import VisPruner as VisPruner
    from winnow.reducers.vscan import VScan as VScan
    from winnow.reducers.vtw import VTW as VTW

_HOMES = {cls: f"reducers.{module}" for module, cls in METHODS.items()}
_HOMES |= dict.fromkeys(("PromptTrace", "Trace", "attach", "reuse_tower", "trained_positions"), "models.engine")
_HOMES |= dict.fromkeys(
    (
        *("Chooser", "Grid", "Layout", "Reducer", "Reduction", "Scorer", "Site", "Span", "Tower", "TowerView"),
        *("UnsupportedError", "View", "WinnowError"),
    ),
    "reducers.core",
)
_HOMES["PixelView"] = "reducers.core.pixels"
_HOMES["StepView"] = "reducers.core.decoding"
_HOMES["load_runs"] = "harness.results.tables.tidy"
_HOMES |= dict.fromkeys(("Cuts", "First", "K", "Rounds", "Window"), "reducers.core.schedule")
_HOMES |= dict.fromkeys(
    (
        *("Change", "HighestRows", "Keys", "KeysAhead", "LookAhead", "MeanQuery", "PageRank"),
        *("PeakRows", "Raters", "Rows"),
        *("mean_query_attention", "page_rank", "peak_attention", "rated_attention", "received_attention"),
    ),
    "reducers.core.probes",
)
_HOMES |= dict.fromkeys(
    (
        *("ClsLogits", "ClsRow", "ColumnMean", "Headless", "JoinedHeads", "PooledByHead", "TextMatch"),
        *("TowerKeys", "TowerValues", "Uncut"),
    ),
    "reducers.core.tower",
)
_HOMES |= dict.fromkeys(
    ("cls_attention", "cls_logits", "headless_attention", "mean_attention", "joined_heads", "text_match"),
    "reducers.core.tower_statistics",
)

__all__ = [*sorted(_HOMES)]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    """Import on first use, as torch and transformers take seconds."""
    if name not in _HOMES:
        raise AttributeError(f"module 'winnow' has no attribute '{name}'")
    return getattr(importlib.import_module(f"winnow.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
