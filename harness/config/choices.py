"""The choices of each configuration group: Winnow's own YAML files, and those of packages that offer methods."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin

from winnow import configs
from winnow.harness.common.sources import module_file
from winnow.harness.common.yaml_text import load as load_yaml
from winnow.reducers.core.errors import WinnowError

ENTRY = "winnow.reducers"
"""The entry-point group by which an installed package names the package that holds its ``reducer/<name>.yaml``."""

Stamp = tuple[tuple[str, int, int], ...]


@cache
def folders() -> tuple[Path, ...]:
    """Folders of configuration groups, our own first; no package is imported.

    Raises
    ------
    WinnowError
        If an installed package names one that is not there.
    """
    return (configs.FOLDER, *_installed())


def _installed() -> Iterator[Path]:
    for entry in entry_points(group=ENTRY):
        init = module_file(entry.value)
        if init is None or not (init.parent / "reducer").is_dir():
            owner = entry.dist.name if entry.dist else "a package"
            raise WinnowError(
                f"{owner} names {entry.value} as the home of reducer={entry.name}, where there is no folder reducer/ "
                f"beside an __init__.py: mend it, or pip uninstall {owner}"
            )
        yield init.parent


def stamp() -> Stamp:
    """Of each configuration file that there is: when it was changed, and how long it is."""
    found = ((path, path.stat()) for folder in folders() for path in folder.rglob("*.yaml"))
    return tuple(sorted((str(path), told.st_mtime_ns, told.st_size) for path, told in found))


def options(group: str) -> list[str]:
    """List the choices of a group."""
    return [*_names(folders(), group)]


@cache
def _names(where: tuple[Path, ...], group: str) -> tuple[str, ...]:
    return tuple(sorted({path.stem for folder in where for path in (folder / group).glob("*.yaml")}))


def listed(group: str, name: str) -> dict[str, Any]:
    """Read the YAML of a choice, its numbers as cells hold them."""
    return dict(_read(next(path for folder in folders() if (path := folder / group / f"{name}.yaml").exists())))


@cache
def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = rounded(load_yaml(path.read_text(encoding="utf-8")))
    return found


def rounded(value: Any) -> Any:
    """Take numbers at twelve digits, at any depth, so that 0.1 + 0.2 and 0.3 name one run."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [*map(rounded, value)]
    return float(f"{value:.12g}") if isinstance(value, float) else value


class Installed(SearchPathPlugin):
    """Lets Hydra look into the folders of installed packages."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Append them, so that a choice of Winnow's own wins."""
        for folder in folders()[1:]:
            search_path.append(ENTRY, f"file://{folder}")


def register_installed() -> None:
    """Tell Hydra of packages that offer methods."""
    Plugins.instance().register(Installed)
