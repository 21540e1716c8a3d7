"""A sweeper that composes once what many cells share; Hydra looks for sweepers in this package only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper, BasicSweeperConf
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, read_write


class WinnowSweeper(BasicSweeper):
    """Hands the cells of a sweep to `harness.app.note`, or to another launcher than the basic one.

    Hydra composes every cell twice, 75 ms each time. But cells that choose the same options of the groups differ only
    in values, which Hydra sets last: here, on a copy.
    """

    def sweep(self, arguments: list[str]) -> Any:
        """Expand the overrides of the preset and of the command line."""
        from harness.app import note, noted

        assert self.hydra_context is not None
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        (jobs,) = self.split_arguments(parser.parse_overrides([*self._parse_config(), *arguments]), None)
        words = list(dict.fromkeys(word for job in jobs for word in job))
        parsed = dict(zip(words, parser.parse_overrides(words), strict=True))
        for job, (config, choices) in zip(jobs, self._composed(jobs, parsed), strict=True):
            note(config, choices, job)
        if isinstance(self.launcher, BasicLauncher):
            return []
        from harness.sweep.launch import launch

        return launch(self.launcher, jobs, noted())

    def _composed(
        self, jobs: list[list[str]], parsed: dict[str, Override]
    ) -> Iterator[tuple[DictConfig, dict[str, Any]]]:
        """Each job's configuration, and the options that it chose."""
        assert self.hydra_context is not None and self.config is not None
        loader: Any = self.hydra_context.config_loader
        choosing = {word for word, override in parsed.items() if _chooses(override, loader)}
        bases: dict[tuple[str, ...], tuple[DictConfig, dict[str, Any]]] = {}
        for job in jobs:
            chosen = tuple(word for word in job if word in choosing)
            if chosen not in bases:
                bases[chosen] = _split(loader.load_sweep_config(self.config, list(chosen)))
            config, choices = bases[chosen][0].copy(), bases[chosen][1]
            ConfigLoaderImpl._apply_overrides_to_config([parsed[word] for word in job if word not in choosing], config)
            yield config, choices


def _chooses(override: Override, loader: Any) -> bool:
    """Whether it chooses an option of a group, or is Hydra's own affair."""
    hydras = override.package is not None or override.is_hydra_override()
    return hydras or bool(loader.get_group_options(override.key_or_group))


def _split(composed: DictConfig) -> tuple[DictConfig, dict[str, Any]]:
    """What the program sees of a configuration, and which options were chosen."""
    choices = dict(composed.hydra.runtime.choices)
    with read_write(composed):
        composed._set_flag("struct", False)
        del composed["hydra"]
        composed._set_flag("struct", True)
    return composed, choices


NODE = BasicSweeperConf(_target_="hydra_plugins.winnow_sweeper.WinnowSweeper")
ConfigStore.instance().store(group="hydra/sweeper", name="winnow", node=NODE, provider="winnow")
