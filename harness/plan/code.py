"""Which code and which libraries decide an answer, a score and a report: three layers, none larger than it must be."""

from __future__ import annotations

from functools import cache

from winnow.harness.common.sources import (
    content_files,
    fingerprint,
    module_file,
    modules_below,
    package_folder,
    version,
)
from winnow.harness.config.cell import Cell, Method
from winnow.harness.data.decoders import chosen
from winnow.harness.plan.family import family_facts

ANSWERING = (
    *(f"winnow.harness.run.{name}" for name in ("generate", "turns")),
    "winnow.models.families.conversation",
    *(f"winnow.harness.data.{name}" for name in ("media", "stress", "decode_worker")),
)
"""Where the harness' say in an answer begins: prompts, frames, decoding."""
ENGINE = ("winnow.models.engine", "winnow.models.loading")
PROMPTS = ("winnow.harness.data", "winnow.models.families.prompt", *ENGINE)
REPORTING = tuple(f"winnow.harness.score.{name}" for name in ("stats", "paired", "paired_runs", "pooled", "result"))
APART = ("winnow.harness.score.judge", "winnow.harness.tasks.fixtures", "winnow.harness.tasks.pico.data")
"""Modules of the scoring rooms that touch no score: verdicts are a stage of their own, miniatures are data."""

SOLVER = ("winnow.harness.plan.budget", "winnow.harness.plan.nominal", "winnow.reducers.core.absolute")
EVERYWHERE = ("torch", "transformers", "tokenizers", "numpy", "pillow", "torchvision")
READERS = {"auto": "av", "av": "av", "decord": "decord", "torchcodec": "torchcodec"}
"""Which library reads videos; PyAV plans which frames are read, whoever reads them."""
QUANTISERS = {"bnb": "bitsandbytes", "torchao": "torchao"}
SCORERS = ("lmms-eval", "numpy")
CPU = "cpu"


@cache
def answering(family: str) -> dict[str, str]:
    """Fingerprint the code that answers under any method."""
    engine = [name for package in ENGINE for name in modules_below(package)]
    return {
        "engine": fingerprint(engine, follow=ENGINE),
        "family": fingerprint([f"winnow.models.families.{family}"], follow=("winnow.models",)),
        "answering": fingerprint(ANSWERING, follow=PROMPTS),
    }


@cache
def scoring() -> str:
    """Fingerprint the code that scores answers: readers, marking, lmms-eval's border."""
    rooms = [name for room in ("score", "tasks") for name in modules_below(f"winnow.harness.{room}")]
    return fingerprint([name for name in rooms if name not in REPORTING and not name.startswith(APART)], follow=())


@cache
def reporting() -> str:
    """Fingerprint the code of modelled cost and of statistics."""
    there = [name for name in REPORTING if module_file(name)]
    return fingerprint([*there, *modules_below("winnow.harness.cost"), "winnow.harness.plan.nominal"], follow=())


@cache
def solving() -> str:
    """Fingerprint the code that solves a budget."""
    return fingerprint(SOLVER, follow=("winnow.harness.plan", "winnow.harness.cost"))


def forget() -> None:
    """Look at the code anew."""
    for remembered in (answering, scoring, reporting, solving, _of_module, installed):
        remembered.cache_clear()


def of_method(method: Method) -> dict[str, str]:
    """Fingerprint a method: its module with what it imports, and of a class from elsewhere its whole package."""
    return dict(_of_module(method.target.partition(":")[0]))


@cache
def _of_module(module: str) -> dict[str, str]:
    path = module_file(module)
    if path is None:
        return {}
    root = module.partition(".")[0]
    if root == "winnow":
        return {"code": fingerprint([module], follow=("winnow.reducers",))}
    return {
        "code": fingerprint([module], follow=("winnow.reducers", root), users=True),
        "folder": _folder(root),
    }


def _folder(root: str) -> str:
    """Hash a method's whole package, tables of numbers included; nothing of a loose file."""
    place = package_folder(root)
    return content_files(place / root) if place and (place / root).is_dir() else ""


def libraries(cell: Cell, videos: bool) -> dict[str, str | None]:
    """Versions of what reaches the answers of a cell, and nothing of what does not."""
    model = cell.model
    names = [*EVERYWHERE, *family_facts(model.family).requires]
    names += ["av", READERS[chosen()]] if videos else []
    names += [package for start, package in QUANTISERS.items() if (model.quant or "").startswith(start)]
    names += ["accelerate"] if model.quant or model.device == "spread" else []
    names += ["flash-attn"] if "flash" in model.attn else []
    names += ["triton"] if model.device != CPU else []
    return {name: installed(name) for name in names}


@cache
def installed(name: str) -> str | None:
    """The version of a package, looked up once until `forget`: that reads all that its wheel says of it."""
    return version(name)
