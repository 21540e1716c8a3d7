"""From a name to a method, for Winnow's own methods and for anybody else's."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import TYPE_CHECKING

from winnow.reducers.core.errors import WinnowError, choose
from winnow.reducers.core.field_types import check_types

if TYPE_CHECKING:
    from winnow.reducers.core.base import Reducer

METHODS = {
    "aim": "AIM",
    "aim_merge": "AIMMerge",
    "aim_prune": "AIMPrune",
    "aim_temporal": "AIMTemporal",
    "ats": "ATS",
    "average": "Average",
    "blind": "Blind",
    "cdpruner": "CDPruner",
    "cgsm": "CGSM",
    "compose": "Compose",
    "dart": "DART",
    "divprune": "DivPrune",
    "dtd": "DTD",
    "dycoke": "DyCoke",
    "evit": "EViT",
    "evs": "EVS",
    "fastv": "FastV",
    "fastvid": "FastVID",
    "ficoco_v": "FiCoCoV",
    "fitprune": "FitPrune",
    "flashvid": "FlashVID",
    "frame_pairs": "FramePairs",
    "framefusion": "FrameFusion",
    "globalcom2": "GlobalCom2",
    "grid": "GridSample",
    "hiprune": "HiPrune",
    "hired": "HiRED",
    "holitom": "HoliTom",
    "holov": "HoloV",
    "illava": "ILLaVA",
    "mmtok": "MMTok",
    "none": "NoReduction",
    "oracle": "Oracle",
    "pact": "PACT",
    "pdrop": "PDrop",
    "pixelprune": "PixelPrune",
    "prumerge": "PruMerge",
    "prunevid": "PruneVid",
    "random": "RandomDrop",
    "scissor": "Scissor",
    "scope": "Scope",
    "sequential": "Sequential",
    "sparsevlm": "SparseVLM",
    "tome": "ToMe",
    "tome_tower": "ToMeTower",
    "trim": "TRIM",
    "uniform": "Uniform",
    "v2drop": "V2Drop",
    "vas": "VAS",
    "vcast": "VCast",
    "vcc": "VCC",
    "vidcom2": "VidCom2",
    "visionzip": "VisionZip",
    "vispruner": "VisPruner",
    "vscan": "VScan",
    "vtw": "VTW",
}
"""Each method's name, which is that of its module in `winnow.reducers`, and its class."""


def named(name: str, values: Mapping[str, object]) -> Reducer:
    """Make a method by its name, or by ``their.package:Class``.

    Raises
    ------
    WinnowError
        If there is no such method, or a value does not fit; says what does.
    """
    if ":" in name:
        return build(name, values, "")
    if name not in METHODS:
        raise WinnowError(f"unknown method '{name}': {choose(name, sorted(METHODS))}")
    return build(f"winnow.reducers.{name}:{METHODS[name]}", values, f"{name}: ")


def find(target: str) -> type[Reducer]:
    """Import the class that ``module:Class`` names.

    Raises
    ------
    WinnowError
        If there is no such class, if it is not a reducer, or if it would never be asked.
    """
    from winnow.reducers.core.base import Reducer  # here, as it takes torch

    module, _, name = target.partition(":")
    if not name:
        raise WinnowError(f"reducer target '{target}' is not of the form their.package:Class")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise WinnowError(f"reducer target '{target}' cannot be imported: {error}") from error
    if not (isinstance(found, type) and issubclass(found, Reducer) and is_dataclass(found)):
        raise WinnowError(f"reducer target '{target}' is not a dataclass derived from reducers.Reducer")
    if found.reduce is not Reducer.reduce and found.sites is Reducer.sites:
        raise WinnowError(
            f"reducer target '{target}' answers, but nowhere: let its sites(depth, tower) say where it acts"
        )
    return found


def build(target: str, values: Mapping[str, object], prefix: str = "reducer.") -> Reducer:
    """Make a method from its hyper-parameters.

    Parameters
    ----------
    target : str
        See `find`.
    values : mapping
        By the names of its fields.
    prefix : str
        Stands before the name of a field in messages.

    Raises
    ------
    WinnowError
        If a value names no field or is of another type than its field, or a field without a default is missing.
    """
    cls = find(target)
    known = {field.name: field for field in fields(cls)}
    for name in values:
        if name not in known:
            raise WinnowError(f"{target} has no parameter '{name}': {choose(name, sorted(known))}")
    for name, field in known.items():
        if name not in values and field.default is MISSING and field.default_factory is MISSING:
            raise WinnowError(f"{target} needs its parameter '{name}': say {prefix}{name}=…")
    check_types(cls, values, prefix)
    return cls(**values)
