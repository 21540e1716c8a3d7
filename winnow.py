"""The thin public face of Winnow: ``from winnow import attach, FastV``."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path


def _check_ours() -> None:
    """Say in one line if another package named `models` or `reducers` hides ours."""
    for package, inside in (("models", "engine"), ("reducers", "layout.py")):
        spec = find_spec(package)
        places = [Path(place) for place in (spec.submodule_search_locations or ())] if spec else []
        if not any((place / inside).exists() for place in places):
            found = places[0] if places else "nothing"
            raise ImportError(f"winnow needs its own package '{package}' but found {found}: take that off PYTHONPATH")


_check_ours()

from models.engine import PromptTrace, Trace, attach, reuse_tower  # noqa: E402
from reducers import Layout, Reducer, Reduction, Scorer, Span, UnsupportedError, View, WinnowError  # noqa: E402
from reducers.blind import Blind  # noqa: E402
from reducers.fastv import FastV  # noqa: E402
from reducers.none import NoReduction  # noqa: E402
from reducers.oracle import Oracle  # noqa: E402
from reducers.random import RandomDrop  # noqa: E402
from reducers.schedule import Cuts, K, Rounds, Window  # noqa: E402
from reducers.vas import VAS  # noqa: E402

__all__ = [
    "VAS",
    "Blind",
    "Cuts",
    "FastV",
    "K",
    "Layout",
    "NoReduction",
    "Oracle",
    "PromptTrace",
    "RandomDrop",
    "Reducer",
    "Reduction",
    "Rounds",
    "Scorer",
    "Span",
    "Trace",
    "UnsupportedError",
    "View",
    "Window",
    "WinnowError",
    "attach",
    "reuse_tower",
]
