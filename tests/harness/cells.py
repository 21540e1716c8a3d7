"""Cells as the command line composes them, and as Hydra alone does."""

from hydra import compose as hydra_compose

from winnow.harness.config.cell import Cell
from winnow.harness.config.compose import compose
from winnow.harness.config.hydra_api import hydra
from winnow.harness.config.overrides import cell_from


def cell(*overrides: str) -> Cell:
    return cell_from(overrides)


def by_hydra(*overrides: str) -> Cell:
    """Composed anew, all overrides at once."""
    with hydra():
        choice = next((word.removeprefix("reducer=") for word in overrides if word.startswith("reducer=")), "none")
        return compose(hydra_compose("config", [*overrides]), choice)
