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
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

import configs
from harness.config.cell import Cell
from harness.config.compose import compose
from harness.config.messages import one_line
from harness.config.schema import register
from harness.paper.parts import Part, merge, parts
from harness.paper.preset import Preset, Words, parse
from harness.paper.published import benchmarks
from reducers.errors import WinnowError

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
    config = composed(rest).copy()
    config.tasks = composed(tuple(word for word in part.words if word.startswith(group))).tasks
    reducer = next(word.partition("=")[2] for word in part.words if word.startswith("reducer="))
    return Planned(part, config, reducer)


@cache
def composed(words: Words) -> DictConfig:
    """Compose a configuration, once; to be copied before it is changed."""
    return hydra_compose("config", list(words))


def expand(config: DictConfig, name: str, words: Sequence[str]) -> list[tuple[DictConfig, str]]:
    """Expand ``experiment=<table>`` of the command line to the configurations of its runs, each with its reducer.

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
    if found and config.controls:
        return _controls(found)
    return [(each.config, each.reducer) for each in found]


def _controls(found: Sequence[Planned]) -> list[tuple[DictConfig, str]]:
    """Replay each finished run at random: as many tokens, sample by sample and layer by layer.

    Raises
    ------
    WinnowError
        If none of the runs is finished.
    """
    from harness.run.identity import identify
    from harness.run.store import results_below

    cells = {identify(each.cell).settings: each for each in found if each.reducer not in UNCONTROLLED}
    folder = next(iter(cells.values())).cell.results if cells else None
    done = [r for r in results_below(folder) if r["settings"] in cells and r["status"] == "complete"] if folder else []
    if not done:
        raise WinnowError("controls=true replays finished runs, and there are none yet: run the same without it first")
    with hydra():
        return [(_replay(cells[result["settings"]], result["id"]), "random") for result in done]


def _replay(each: Planned, run: str) -> DictConfig:
    kept = ("model=", "model.", "limit=", "seed=", "batch_size=", "downsample.", "results=", "force=")
    config = composed(merge([word for word in each.part.words if word.startswith(kept)] + ["reducer=random"])).copy()
    config.tasks, config.reducer.like = each.config.tasks, run
    return config
