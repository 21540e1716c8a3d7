"""Fingerprints of source code: an edited method never reuses an old answer, an edited comment does."""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import importlib.util
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from itertools import accumulate
from pathlib import Path

from winnow.harness.common.content import content_hash
from winnow.reducers.core.errors import WinnowError

PYCACHE = "__pycache__"
VERSIONED = {"torch", "transformers", "tokenizers", "numpy", "PIL", "torchvision"}
"""Libraries whose versions are a part of every run's name, wherever they lie."""
OURS = ("winnow.reducers", "winnow.models", "winnow.harness")


def package_folder(package: str) -> Path | None:
    """Find the folder that holds a top-level package or module, without importing it."""
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    if spec.origin is None:  # a folder without __init__.py: the first one of its name
        return next((Path(place).parent for place in spec.submodule_search_locations or ()), None)
    if not spec.has_location:
        return None
    origin = Path(spec.origin)
    return origin.parent.parent if spec.submodule_search_locations else origin.parent


def module_file(module: str) -> Path | None:
    """Find the file of a module without importing it or its packages; None: there is no such file."""
    folder = package_folder(module.partition(".")[0])
    if folder is None:
        return None
    base = folder.joinpath(*module.split("."))
    return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()), None)


def is_users(module: str) -> bool:
    """Whether a module is the user's own: on the path, but neither Python's, nor ours, nor installed into it."""
    root = module.partition(".")[0]
    if root in sys.stdlib_module_names or root in VERSIONED or root == "winnow":
        return False
    folder = package_folder(root)
    return folder is not None and not {"site-packages", "dist-packages"} & {*folder.parts}


def modules_below(package: str) -> list[str]:
    """List the modules of a package, itself included."""
    init = module_file(package)
    if init is None:
        return []
    names = [path.relative_to(init.parent).with_suffix("").parts for path in sorted(init.parent.rglob("*.py"))]
    return [".".join((package, *parts)).removesuffix(".__init__") for parts in names]


def fingerprint(modules: Iterable[str], follow: Iterable[str] = OURS, users: bool = False) -> str:
    """Hash modules and whatever they import from the packages `follow` (dotted names), transitively.

    Parameters
    ----------
    modules, follow : iterable of str
    users : bool
        Whether to follow into all modules of the user's own, too.

    Raises
    ------
    WinnowError
        If one of the modules cannot be found.
    """
    packages, seen, queue = tuple(follow), dict[str, str](), list(modules)
    for name in queue:
        if module_file(name) is None:
            raise WinnowError(f"module '{name}' cannot be found: is its package installed, or on PYTHONPATH?")
    while queue:
        if (name := queue.pop()) in seen:
            continue
        if (path := module_file(name)) is None:
            seen[name] = ""  # what is imported need not be a module
            continue
        seen[name], imports = _parse(path, path.stat().st_mtime_ns)
        found = (_absolute(one, name, path) for one in imports)
        starts = tuple(f"{one}." for one in packages)
        for module in found:
            if users and is_users(module):
                queue += [*accumulate(module.split("."), "{}.{}".format)]  # its packages are imported with it
            elif f"{module}.".startswith(starts):
                queue.append(module)
    return digest(sorted((name, code) for name, code in seen.items() if code))


def digest(value: object) -> str:
    """Short hash of a value's representation."""
    return hashlib.sha256(repr(value).encode()).hexdigest()[:16]


def hash_files(paths: Iterable[Path], root: Path) -> str:
    """Hash files by their names below `root` and their content; of Python files the code alone."""
    return digest([(str(path.relative_to(root)), _hash_file(path)) for path in sorted(paths)])


def content_files(folder: Path, suffixes: Iterable[str] = ()) -> str:
    """Hash all files below a folder by name and content, linked folders included.

    What systems and tools leave there is passed over: hidden files and folders, caches of Python, notes in Markdown.

    Parameters
    ----------
    folder : Path
    suffixes : iterable of str
        The endings that count; by default all.
    """
    wanted = set(suffixes)
    return hash_files((path for path in files_below(folder) if not wanted or path.suffix in wanted), folder)


def files_below(folder: Path) -> Iterator[Path]:
    """The files below a folder that somebody put there, through links to folders as well."""
    seen = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        folders[:] = (
            [] if real in seen else sorted(name for name in folders if name[0] != "." and name != "__pycache__")
        )
        seen.add(real)
        yield from (Path(place, name) for name in names if name[0] != "." and not name.endswith((".pyc", ".md")))


def version(package: str) -> str | None:
    """The installed version of a package; None: it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _hash_file(path: Path) -> str:
    if path.suffix == ".py":
        with suppress(WinnowError):  # what is not imported need not be Python of this version
            return _parse(path, path.stat().st_mtime_ns)[0]
    return content_hash(path)


@cache
def _parse(path: Path, changed: int) -> tuple[str, tuple[str, ...]]:
    """Hash of a file's code without comments, docstrings and layout, and what it imports."""
    tree = parse_file(path)
    imports = tuple(sorted(set(_imports(tree))))
    for node in ast.walk(tree):
        for block in (getattr(node, name, None) for name in ("body", "orelse", "finalbody")):
            if isinstance(block, list):
                block[:] = [statement for statement in block if not _is_text(statement)]
    return digest(ast.dump(tree)), imports


def parse_file(path: Path) -> ast.Module:
    """Parse a file of Python, without executing it.

    Raises
    ------
    WinnowError
        If it is none; names the file and the line.
    """
    try:
        return ast.parse(path.read_bytes(), str(path))
    except SyntaxError as error:
        at = f", line {error.lineno}" if error.lineno else ""
        raise WinnowError(f"{path}{at} is no Python ({error.msg}): mend it") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise WinnowError(f"{path} is no Python ({error}): mend it") from error


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _imports(tree: ast.AST) -> Iterator[str]:
    """What a file imports; a relative import begins with its dots."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            yield from [base] if node.module else ()
            yield from (f"{base}{'.' if node.module else ''}{alias.name}" for alias in node.names)


def _absolute(name: str, module: str, path: Path) -> str:
    """Resolve a relative import of a module."""
    if not name.startswith("."):
        return name
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    try:
        return importlib.util.resolve_name(name, package)
    except ImportError:
        return ""
