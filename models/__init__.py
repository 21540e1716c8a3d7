"""Hugging Face models behind one interface, and the engine that reduces inside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from winnow.models.families import find_family as find_family
    from winnow.models.families.prompt import Prompt as Prompt
    from winnow.models.loading.load import Loaded as Loaded
    from winnow.models.loading.load import load as load
    from winnow.models.loading.spec import ModelSpec as ModelSpec

if __name__ != "winnow.models":
    raise ImportError("say winnow.models: under another name its modules would be imported a second time")

_HOMES = {
    "find_family": "families",
    "Loaded": "loading.load",
    "ModelSpec": "loading.spec",
    "load": "loading.load",
    "Prompt": "families.prompt",
}


def __getattr__(name: str) -> Any:
    """Import on first use, as torch and transformers take seconds."""
    if name not in _HOMES:
        raise AttributeError(f"module 'winnow.models' has no attribute '{name}'")
    import importlib

    return getattr(importlib.import_module(f"winnow.models.{_HOMES[name]}"), name)
