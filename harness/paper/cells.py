"""From a table's preset to cells: every row on every benchmark that the paper prints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

import configs
from harness.cell import Cell
from harness.compose import compose
from harness.messages import one_line
from harness.paper.preset import Part, Preset, Words, parse, parts
from harness.paper.published import benchmarks
from harness.schema import register
from reducers.errors import WinnowError

OWN = ("experiment", "only", "smoke")
"""Keys that choose the part of the table; everything else on the command line goes to each of its runs."""


@dataclass(frozen=True)
class Planned:
    """One run of a table, composed."""

    part: Part
    config: DictConfig
    reducer: str

    @property
    def cell(self) -> Cell:
        """The run's cell."""
        return compose(self.config, self.reducer)


@contextmanager
def hydra() -> Iterator[None]:
    """Use the Hydra that runs, or one of our own.

    Raises
    ------
    WinnowError
        For what Hydra does not accept.
    """
    try:
        if GlobalHydra.instance().is_initialized():
            yield
        else:
            register()
            with initialize_config_dir(str(configs.FOLDER), version_base="1.3"):
                yield
    except (HydraException, OmegaConfBaseException) as error:
        raise WinnowError(one_line(error)) from error


def planned(preset: Preset, only: Sequence[str] = (), smoke: bool = False, extra: Words = ()) -> list[Planned]:
    """Compose the runs of a table, or of a part of it."""
    with hydra():
        return [_planned(part) for part in parts(preset, benchmarks(preset), only, smoke, extra)]


def _planned(part: Part) -> Planned:
    """Compose a row once, and change its tasks: composing takes a tenth of a second."""
    group = ("tasks=", "tasks.")
    rest = tuple(word for word in part.words if not word.startswith(group))
    config = _composed(rest).copy()
    config.tasks = _composed(tuple(word for word in part.words if word.startswith(group))).tasks
    reducer = next(word.partition("=")[2] for word in part.words if word.startswith("reducer="))
    return Planned(part, config, reducer)


@cache
def _composed(words: Words) -> DictConfig:
    return hydra_compose("config", list(words))


def expand(config: DictConfig) -> list[tuple[DictConfig, str]]:
    """Expand ``experiment=<table>`` of the command line to the configurations of its runs, each with its reducer."""
    chosen = HydraConfig.get()
    given: Any = config.only
    only = [] if given is None else [given] if isinstance(given, str) else list(map(str, given))
    preset = parse(str(chosen.runtime.choices["experiment"]), config.table)
    extra = tuple(word for word in chosen.overrides.task if word.partition("=")[0].lstrip("+~") not in OWN)
    found = planned(preset, only, config.smoke, extra)
    return [(each.config, each.reducer) for each in found]
