"""From words as `run.py` takes them to configurations: one, or those of a sweep."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.types import RunMode
from omegaconf import DictConfig, read_write

from winnow.harness.config.composed import NUMBERS, Composed, remembered, split
from winnow.harness.config.hydra_api import hydra
from winnow.harness.config.run_names import named
from winnow.reducers.core.errors import WinnowError

LAUNCHER = "hydra/launcher"


@dataclass(frozen=True)
class Job:
    """One configuration of a sweep.

    Attributes
    ----------
    words : list of str
        The overrides that lead to it.
    base : DictConfig
        What jobs that choose the same options of the groups have in common.
    choices : mapping
        The option chosen of each group.
    values : tuple of Override
        What is set on a copy of the base.
    free : bool
        Whether nothing in the base refers to one of `NUMBERS`.
    sweeps : bool
        Whether a preset asks for a sweep.
    """

    words: list[str]
    base: DictConfig
    choices: Mapping[str, Any]
    values: tuple[Override, ...] = ()
    free: bool = False
    sweeps: bool = False

    @cached_property
    def config(self) -> DictConfig:
        """As composed, without Hydra's own node: a cell, or a table."""
        return self._set(self.values)

    @cached_property
    def numbers(self) -> dict[str, Any]:
        """Values of numbers that nothing else depends on, which a cell takes without another configuration."""
        found = {value.key_or_group: value.value() for value in self.values if _is_number(value)}
        return found if found and self.free else {}

    @property
    def rest(self) -> tuple[str, ...]:
        """The other values, as words."""
        return tuple(value.input_line or "" for value in self.values if value.key_or_group not in self.numbers)

    def without_numbers(self) -> DictConfig:
        """The configuration as it is without its `numbers`."""
        return self._set([value for value in self.values if value.key_or_group not in self.numbers])

    def _set(self, values: Sequence[Override]) -> DictConfig:
        made = self.base.copy()
        ConfigLoaderImpl._apply_overrides_to_config([*values], made)
        return made


def _is_number(value: Override) -> bool:
    kinds = NUMBERS.get(value.key_or_group)
    plain = value.type == OverrideType.CHANGE and value.package is None
    return kinds is not None and plain and type(value.value()) in kinds


@dataclass(frozen=True)
class Expanded:
    """What a command line asks for.

    Attributes
    ----------
    jobs : list of Job
    config : DictConfig or None
        The configuration of a whole sweep, with Hydra's own node.
    """

    jobs: list[Job]
    config: DictConfig | None = None

    @property
    def launcher(self) -> str | None:
        """Hydra's launcher for a sweep, where it is not the basic one, which runs here."""
        name = str(self.config.hydra.runtime.choices[LAUNCHER]) if self.config else "basic"
        return None if name == "basic" else name


def expand(words: Sequence[str], multirun: bool = True) -> Expanded:
    """Expand overrides into jobs, without running any.

    Hydra's own sweeper composes every job twice, 75 ms each time. But jobs that choose the same options of the groups
    differ only in values, which Hydra sets last: here, on a copy.

    Parameters
    ----------
    words : sequence of str
        Overrides, as `run.py` takes them.
    multirun : bool
        Whether lists of values are swept over; a preset may ask for that as well.

    Raises
    ------
    WinnowError
        For mistakes in the overrides.
    """
    words = named(words)
    with hydra() as loader:
        given = _parsed(words, loader)
        _refuse_lists([*given.values()], loader)
        own = any(one.is_hydra_override() for one in given.values())
        memory = Composed(loader, {}) if own else remembered(loader)  # a search path leads to files of its own
        if not (multirun or own or any(one.is_sweep_override() for one in given.values())):
            (job,) = _composed([[*words]], given, memory)
            if not job.sweeps:
                return Expanded([Job(job.words, job.config, job.choices)])
        return _swept(words, given, memory, multirun)


def _swept(words: Sequence[str], given: Mapping[str, Override], memory: Composed, multirun: bool) -> Expanded:
    inner = {word for word, one in given.items() if _inside(one, memory)}
    whole = memory.loader.load_configuration("config", [w for w in words if w not in inner], RunMode.MULTIRUN)
    if not multirun and whole.hydra.mode != RunMode.MULTIRUN:
        return Expanded([Job([*words], *split(memory.loader.load_configuration("config", [*words], RunMode.RUN)))])
    with read_write(whole.hydra):
        whole.hydra.overrides.task = [word for word in words if not given[word].is_hydra_override()]
    params = [f"{key}={value}" for key, value in (whole.hydra.sweeper.params or {}).items()]
    asked = OverridesParser.create().parse_overrides([*params, *whole.hydra.overrides.task])
    (jobs,) = BasicSweeper.split_arguments(asked, None)
    parsed = _parsed(list(dict.fromkeys(word for job in jobs for word in job)), memory.loader)
    with read_write(whole.hydra):
        whole.hydra.mode = RunMode.MULTIRUN
    return Expanded([*_composed(jobs, parsed, memory, [*map(str, whole.hydra.overrides.hydra)])], whole)


def each(lists: Sequence[Sequence[str]]) -> list[Job]:
    """Compose several configurations that are known one by one, each choice of groups once; errors as of `expand`."""
    jobs = [named(words) for words in lists]
    with hydra() as loader:
        parsed = _parsed(list(dict.fromkeys(word for job in jobs for word in job)), loader)
        loader.validate_sweep_overrides_legal([*parsed.values()], RunMode.RUN, from_shell=False)
        return [*_composed(jobs, parsed, remembered(loader))]


def _parsed(words: Sequence[str], loader: Any) -> dict[str, Override]:
    return dict(zip(words, OverridesParser.create(config_loader=loader).parse_overrides([*words]), strict=True))


def _composed(
    jobs: Sequence[Sequence[str]], parsed: Mapping[str, Override], memory: Composed, own: Sequence[str] = ()
) -> Iterator[Job]:
    """Compose each choice of groups once, and set the values of each job on a copy."""
    groups = {key for key in {one.key_or_group for one in parsed.values()} if memory.is_group(key)}
    choosing = {word for word, override in parsed.items() if _chooses(override, groups)}
    for job in jobs:
        base = memory.base((*own, *(word for word in job if word in choosing)))
        values = tuple(parsed[word] for word in job if word not in choosing)
        yield Job([*job], base.config, base.choices, values, base.free, base.sweeps)


def _refuse_lists(overrides: Sequence[Override], loader: Any) -> None:
    """Refuse ``tasks=[a,b]``, of which Hydra would take b alone."""
    for override in overrides:
        choices = override.value()
        if isinstance(choices, list) and loader.get_group_options(override.key_or_group):
            key, names = override.key_or_group, ",".join(map(str, choices))
            raise WinnowError(f"{key}=[{names}] is not allowed: give one choice, or sweep with -m {key}={names}")


def _inside(override: Override, memory: Composed) -> bool:
    """Whether it sets a value of a group's option: it is for each job, whose option may be another than the default."""
    group, dot, _ = override.key_or_group.partition(".")
    return bool(dot) and not override.is_hydra_override() and memory.is_group(group)


def _chooses(override: Override, groups: Collection[str]) -> bool:
    """Whether it chooses an option of a group, or is Hydra's own affair."""
    return override.package is not None or override.is_hydra_override() or override.key_or_group in groups
