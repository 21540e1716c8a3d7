"""What is known of a model's family before transformers is imported, which takes seconds."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache

from winnow.harness.config.declared import literals
from winnow.models.families import target_of


@dataclass(frozen=True)
class FamilyFacts:
    """The attributes of `winnow.models.families.base.Family` that plans ask for."""

    requires: tuple[str, ...]
    cls: bool
    mrope: bool
    both_ways: bool
    full_every: int
    shared_keys: bool
    prunes_itself: bool
    no_tower: str
    no_pixels: str
    any_size: bool
    budgets: tuple[int, ...]
    fixed_frames: int


@cache
def family_facts(name: str) -> FamilyFacts:
    """Read a family's class; errors as of `target_of`."""
    return FamilyFacts(**literals(target_of(name), [field.name for field in fields(FamilyFacts)]))
