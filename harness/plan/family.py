"""What is known of a model's family before transformers is imported, which takes seconds."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache

from winnow.harness.config.declared import literals
from winnow.models.families import FAMILIES
from winnow.reducers.core.errors import WinnowError, choose


@dataclass(frozen=True)
class FamilyFacts:
    """The attributes of `winnow.models.families.base.Family` that plans ask for."""

    cls: bool
    mrope: bool
    no_tower: str
    any_size: bool
    fixed_frames: int


@cache
def family_facts(name: str) -> FamilyFacts:
    """Read a family's class.

    Raises
    ------
    WinnowError
        Lists the families.
    """
    if name not in FAMILIES:
        raise WinnowError(f"model family '{name}' is not known: {choose(name, FAMILIES)}")
    return FamilyFacts(**literals(FAMILIES[name], [field.name for field in fields(FamilyFacts)]))
