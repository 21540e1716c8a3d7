"""``winnow new METHOD``: a package of one's own with a method, its YAML and its test, to begin from."""

from __future__ import annotations

import keyword
from collections.abc import Iterator
from pathlib import Path
from string import Template

from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.registry import METHODS

TEMPLATES = Path(__file__).parent / "templates"


def new(name: str, folder: Path) -> list[Path]:
    """Write the package.

    Parameters
    ----------
    name : str
        Of the method, as in ``reducer=<name>``, and of its package.
    folder : Path
        Where the package's folder goes.

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    WinnowError
        If the name is none, or taken, or the folder exists.
    """
    if not name.isidentifier() or keyword.iskeyword(name) or name != name.lower():
        raise WinnowError(f"'{name}' cannot name a method: choose lower-case letters, digits and _, e.g. my_method")
    if name in METHODS:
        raise WinnowError(f"'{name}' is a method of Winnow's own: choose another name")
    root = folder / name
    if root.exists():
        raise WinnowError(f"{root} exists: choose another name, or another folder with --into")
    words = {"name": name, "class": "".join(part.capitalize() for part in name.split("_"))}
    written = []
    for path, template in _files(name):
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(Template(template).substitute(words), encoding="utf-8")
        written.append(target)
    return written


def _files(name: str) -> Iterator[tuple[str, str]]:
    """Where each file goes, and what it says."""
    for path, template in (
        (f"{name}/{name}.py", "method"),
        (f"{name}/reducer/{name}.yaml", "yaml"),
        (f"tests/test_{name}.py", "test"),
        ("pyproject.toml", "project"),
    ):
        yield path, (TEMPLATES / f"{template}.txt").read_text(encoding="utf-8")
    yield (
        f"{name}/__init__.py",
        '"""A method for Winnow: reducer=$name."""\n\nfrom $name.$name import $class as $class\n',
    )
