"""What Hydra has composed, each choice of options once: that takes 75 ms, and commands ask for many cells."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from hydra.types import RunMode
from omegaconf import DictConfig, read_write

from winnow.harness.config.choices import Stamp, stamp

NUMBERS: Mapping[str, tuple[type, ...]] = {
    "ratio": (int, float), "seed": (int,), "limit": (int,), "batch_size": (int,)
}  # fmt: skip
"""Values that a cell takes without another configuration, and their types."""
_REFERRED = re.compile(rf"\$\{{({'|'.join(NUMBERS)})\}}")


class Base(NamedTuple):
    """A configuration with some options chosen, to be copied before it is changed.

    Attributes
    ----------
    config : DictConfig
        As the program sees it, without Hydra's own node.
    choices : dict
        The option chosen of each group.
    free : bool
        Whether nothing in it refers to one of `NUMBERS`.
    sweeps : bool
        Whether a preset asks for a sweep.
    """

    config: DictConfig
    choices: dict[str, Any]
    free: bool
    sweeps: bool


@dataclass(frozen=True)
class Composed:
    """What Hydra composes of the files as they are.

    Attributes
    ----------
    loader : ConfigLoader
    bases : dict
        What was composed already, of the words that chose it.
    """

    loader: Any
    bases: dict[tuple[str, ...], Base]

    def is_group(self, key: str) -> bool:
        """Whether a key is that of a group of options."""
        return bool(self.loader.repository.group_exists(key))  # options are told only by a copy of all sources

    def base(self, chosen: tuple[str, ...]) -> Base:
        """The configuration with some options chosen; Hydra's own overrides may stand among them."""
        if chosen not in self.bases:
            made = self.loader.load_configuration("config", [*chosen], RunMode.RUN)
            sweeps = made.hydra.mode == RunMode.MULTIRUN
            config, choices = split(made)
            self.bases[chosen] = Base(config, choices, not _REFERRED.search(str(config)), sweeps)
        return self.bases[chosen]


def remembered(loader: Any) -> Composed:
    """What was composed in this process, as long as no file of a configuration is changed."""
    return Composed(loader, _bases(stamp()))


@lru_cache(maxsize=1)
def _bases(_: Stamp) -> dict[tuple[str, ...], Base]:
    return {}


def split(composed: DictConfig) -> tuple[DictConfig, dict[str, Any]]:
    """What the program sees of a configuration, and which options were chosen."""
    choices = dict(composed.hydra.runtime.choices)
    with read_write(composed):
        composed._set_flag("struct", False)
        del composed["hydra"]
        composed._set_flag("struct", True)
    return composed, choices
