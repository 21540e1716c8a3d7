"""The engine: hooks, attention tap, ragged cache and trace for unmodified Hugging Face models."""

from models.engine.attach import attach
from models.engine.tower import Reuse, reuse_tower
from models.engine.trace import PromptTrace, Trace

__all__ = ["PromptTrace", "Reuse", "Trace", "attach", "reuse_tower"]
