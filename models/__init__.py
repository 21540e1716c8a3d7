"""Hugging Face models behind one interface, and the engine that reduces inside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from models.families import find_family as find_family
    from models.load import Loaded as Loaded
    from models.load import ModelSpec as ModelSpec
    from models.load import load as load
    from models.prompt import Prompt as Prompt

_HOMES = {"find_family": "families", "Loaded": "load", "ModelSpec": "load", "load": "load", "Prompt": "prompt"}


def __getattr__(name: str) -> Any:
    """Import on first use, as torch and transformers take seconds."""
    if name not in _HOMES:
        raise AttributeError(f"module 'models' has no attribute '{name}'")
    import importlib

    return getattr(importlib.import_module(f"models.{_HOMES[name]}"), name)
