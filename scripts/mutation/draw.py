"""Which faults are tried: places in the code, drawn by a seed, and one fault for each."""

from __future__ import annotations

import hashlib
import random
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from pathlib import Path

from cosmic_ray.commands.init import init
from cosmic_ray.work_db import WorkDB
from cosmic_ray.work_item import MutationSpec, WorkItem

from scripts.mutation.shop import BUILD, Shop
from scripts.mutation.unrun import Place, unrun


def draw(shop: Shop, sample: int, seed: int, workers: int) -> list[WorkItem]:
    """Draw faults whose modules are paths in any copy."""
    modules = shop.modules()
    with ProcessPoolExecutor(workers) as pool:
        found = pool.map(_faults, [shop.tree(0) / module for module in modules])
    places: dict[tuple[str, Place], list[MutationSpec]] = {}
    for module, faults in zip(modules, found, strict=True):
        for fault in faults:
            places.setdefault((str(module), fault.start_pos), []).append(fault)
    chance = random.Random(seed)  # noqa: S311
    chosen = chance.sample(sorted(places), min(sample, len(places)))
    return [_item(place[0], chance.choice(sorted(places[place], key=_kind))) for place in chosen]


def _faults(path: Path) -> list[MutationSpec]:
    """All faults of a module where code is run; they are kept under the name of its content."""
    content = hashlib.sha256(version("cosmic-ray").encode() + path.read_bytes()).hexdigest()[:16]
    kept = BUILD / "places" / f"{content}.sqlite"
    kept.parent.mkdir(parents=True, exist_ok=True)
    found = WorkDB(kept, WorkDB.Mode.create)
    if not found.num_work_items:
        init([path], found, {})
    faults = [fault for item in found.work_items for fault in item.mutations]
    found.close()
    return [fault for fault in faults if not any(start <= fault.start_pos < end for start, end in unrun(path))]


def _item(module: str, fault: MutationSpec) -> WorkItem:
    own = MutationSpec(module, fault.operator_name, fault.occurrence, fault.start_pos, fault.end_pos)
    return WorkItem.single(f"{module}:{fault.start_pos}:{fault.operator_name}:{fault.occurrence}", own)


def _kind(fault: MutationSpec) -> tuple[str, int]:
    return fault.operator_name, fault.occurrence
