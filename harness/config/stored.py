"""The configuration that a run left in its folder, read back as a file that somebody else may have written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from winnow.harness.common.run_files import CONFIG
from winnow.harness.common.yaml_text import load as load_yaml
from winnow.harness.config.cell import Cell, from_plain
from winnow.harness.config.trust import check_trust
from winnow.reducers.core.errors import WinnowError


def stored_config(folder: Path) -> dict[str, Any]:
    """Read a run's configuration.

    Raises
    ------
    WinnowError
        If it is not there, or damaged.
    """
    path = folder / CONFIG
    try:
        found = load_yaml(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise WinnowError(f"{path} cannot be read: an imported run has none, others are run again") from error
    if not isinstance(found, dict) or not all(isinstance(found.get(name), dict) for name in ("cell", "inputs")):
        raise WinnowError(f"{path} is damaged or of an older version of Winnow: run the cell again")
    return found


def stored_cell(folder: Path, trust: bool) -> Cell:
    """The cell of a run, from which tasks and models are loaded.

    Parameters
    ----------
    folder : Path
    trust : bool
        Whether code may be executed that it names and Winnow does not register.

    Raises
    ------
    WinnowError
        If it is damaged, or names such code.
    """
    return cell_in(stored_config(folder), folder, trust)


def cell_in(config: Mapping[str, Any], folder: Path, trust: bool) -> Cell:
    """The cell of a configuration that was read from a run's folder; see `stored_cell`."""
    try:
        cell = from_plain(config["cell"])
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise WinnowError(f"{folder / CONFIG} holds no cell of this version of Winnow ({error})") from error
    check_trust([cell], folder / CONFIG, trust)
    return cell
