"""Check that imports point right only: run -> harness -> models -> reducers, each with its own list of libraries.

Used by `make lint`; exits with 1 and one line per offence.
"""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OURS = {"reducers", "models", "harness", "configs", "hydra_plugins", "winnow", "run", "scripts", "tests"}
TORCH_ONLY = {"torch"}
MODEL_LIBRARIES = TORCH_ONLY | {"transformers", "numpy", "PIL", "safetensors", "tokenizers", "triton"}


@dataclass(frozen=True)
class Layer:
    """What one layer may import beside the standard library and itself.

    Attributes
    ----------
    packages : frozenset of str
        Packages of this repository.
    libraries : frozenset of str or None
        Third-party packages; None allows any.
    """

    packages: frozenset[str]
    libraries: frozenset[str] | None = None


LAYERS = {
    "reducers": Layer(frozenset(), frozenset(TORCH_ONLY)),
    "models": Layer(frozenset({"reducers"}), frozenset(MODEL_LIBRARIES)),
    "winnow.py": Layer(frozenset({"models", "reducers"}), frozenset(MODEL_LIBRARIES)),
    "configs": Layer(frozenset(), frozenset()),
    "harness": Layer(frozenset({"models", "reducers", "configs"})),
    "hydra_plugins": Layer(frozenset({"harness"})),
    "run.py": Layer(frozenset({"harness", "configs"})),
}


def imported(source: str) -> Iterator[tuple[int, str]]:
    """Yield line number and top-level package of every import in `source`, also those inside functions."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.split(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.lineno, node.module.split(".")[0]


def offences(source: str, own: str, layer: Layer) -> Iterator[tuple[int, str]]:
    """Yield line number and package of every import that `layer` does not allow to the module or package `own`."""
    for line, package in imported(source):
        if package == own or package in sys.stdlib_module_names:
            continue
        allowed = layer.packages if package in OURS else layer.libraries
        if allowed is not None and package not in allowed:
            yield line, package


def check_file(file: Path, name: str, root: Path) -> list[str]:
    """Return one line per offence of `file`, which belongs to the layer `name` of LAYERS."""
    where = file.relative_to(root)
    try:
        found = list(offences(file.read_text(encoding="utf-8"), Path(name).stem, LAYERS[name]))
    except SyntaxError as error:
        return [f"{where}:{error.lineno}: {error.msg}"]
    return [f"{where}:{line}: {name} may not import {package}" for line, package in found]


def check(root: Path) -> list[str]:
    """Return one line per forbidden import below `root`."""
    found = []
    for name in LAYERS:
        path = root / name
        for file in [path] if path.is_file() else sorted(path.rglob("*.py")):
            found += check_file(file, name, root)
    return found


def main() -> int:
    """Print the offences of this repository; return the exit code."""
    found = check(ROOT)
    print("\n".join(found) or "layers: all imports point right")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
