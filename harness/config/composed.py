"""What Hydra has composed, each choice of options once: that takes 75 ms, and commands ask for many cells."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from hydra.types import RunMode
from omegaconf import DictConfig, read_write

NUMBERS: Mapping[str, tuple[type, ...]] = {
    "ratio": (int, float), "seed": (int,), "limit": (int,), "batch_size": (int,)
}  # fmt: skip
"""Values that a cell takes without another configuration, and their types."""
_REFERRED = re.compile(rf"\$\{{({'|'.join(NUMBERS)})\}}")
_ASKED = "_winnow_composed"
Base = tuple[DictConfig, dict[str, Any], bool]
"""A configuration, the options that were chosen, and whether nothing in it refers to one of `NUMBERS`."""


@dataclass(eq=False)
class Composed:
    """What one loader of Hydra was asked.

    Attributes
    ----------
    loader : ConfigLoader
    """

    loader: Any
    _bases: dict[tuple[str, ...], Base] = field(default_factory=dict)

    @cached_property
    def whole(self) -> DictConfig:
        """The configuration without any override."""
        composed: DictConfig = self.loader.load_configuration("config", [], RunMode.MULTIRUN)
        return composed

    def is_group(self, key: str) -> bool:
        """Whether a key is that of a group of options."""
        return bool(self.loader.repository.group_exists(key))  # options are told only by a copy of all sources

    def base(self, whole: DictConfig, chosen: tuple[str, ...]) -> Base:
        """The configuration with some options chosen; `whole` says which of Hydra's own overrides there are."""
        key = (*map(str, whole.hydra.overrides.hydra), *chosen)
        if key not in self._bases:
            made, choices = split(self.loader.load_sweep_config(whole, list(chosen)))
            self._bases[key] = made, choices, not _REFERRED.search(str(made))
        return self._bases[key]


def remembered(loader: Any) -> Composed:
    """What a loader was asked so far; it lies on the loader, which lives as long as Hydra is lent."""
    found: Composed = vars(loader).setdefault(_ASKED, Composed(loader))
    return found


def split(composed: DictConfig) -> tuple[DictConfig, dict[str, Any]]:
    """What the program sees of a configuration, and which options were chosen."""
    choices = dict(composed.hydra.runtime.choices)
    with read_write(composed):
        composed._set_flag("struct", False)
        del composed["hydra"]
        composed._set_flag("struct", True)
    return composed, choices
