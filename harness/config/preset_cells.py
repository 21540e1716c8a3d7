"""From a table's preset to cells: every row on every benchmark that the paper prints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from omegaconf import DictConfig

from winnow.harness.config.cell import Cell
from winnow.harness.config.compose import compose
from winnow.harness.config.expand import each
from winnow.harness.config.hydra_api import hydra
from winnow.harness.config.preset import Preset, Words, parse
from winnow.harness.config.preset_runs import Part, parts
from winnow.harness.config.printed import benchmarks

OWN = ("experiment", "only", "smoke", "controls")
"""Keys that choose the part of the table; everything else on the command line goes to each of its runs."""
UNCONTROLLED = ("none", "blind", "random")


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


def planned(preset: Preset, only: Sequence[str] = (), smoke: bool = False, extra: Words = ()) -> list[Planned]:
    """Compose the runs of a table, or of a part of it."""
    with hydra():
        return [_planned(part) for part in parts(preset, benchmarks(preset), only, smoke, extra)]


def _planned(part: Part) -> Planned:
    """Compose a row once, and change its tasks: composing takes a tenth of a second."""
    group = ("tasks=", "tasks.")
    rest = tuple(word for word in part.words if not word.startswith(group))
    config = composed(rest).copy()
    config.tasks = composed(tuple(word for word in part.words if word.startswith(group))).tasks
    reducer = next(word.partition("=")[2] for word in part.words if word.startswith("reducer="))
    return Planned(part, config, reducer)


@cache
def composed(words: Words) -> DictConfig:
    """Compose a configuration, once; to be copied before it is changed."""
    return each([words])[0].config


def planned_by(config: DictConfig, name: str, words: Sequence[str]) -> list[Planned]:
    """Expand ``experiment=<table>`` of the command line to the runs of the table.

    Parameters
    ----------
    config : DictConfig
        As Hydra composed it.
    name : str
        The table.
    words : sequence of str
        The overrides on the command line.
    """
    given: Any = config.only
    only = [] if given is None else [given] if isinstance(given, str) else list(map(str, given))
    extra = tuple(word for word in words if word.partition("=")[0].lstrip("+~") not in OWN)
    found = planned(parse(name, config.table), only, config.smoke, extra)
    if not found:
        print(f"{name} is modelled, and there is nothing to run: `winnow tables {name}` prints it")
    return found
