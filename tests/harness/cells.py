"""Cells as the command line composes them."""

from collections.abc import Iterator
from contextlib import contextmanager

from hydra import compose as hydra_compose
from hydra import initialize_config_dir

from winnow import configs
from winnow.harness.config.cell import Cell
from winnow.harness.config.compose import compose
from winnow.harness.config.schema import register


@contextmanager
def hydra() -> Iterator[None]:
    register()
    with initialize_config_dir(str(configs.FOLDER), version_base="1.3"):
        yield


def cell(*overrides: str) -> Cell:
    with hydra():
        choice = next((word.removeprefix("reducer=") for word in overrides if word.startswith("reducer=")), "none")
        return compose(hydra_compose("config", [*overrides]), choice)
