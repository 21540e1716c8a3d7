"""The engine: hooks, attention tap, ragged cache and trace for unmodified Hugging Face models."""

from winnow.models.engine.attach import attach
from winnow.models.engine.numbering import trained_positions
from winnow.models.engine.reuse import Reuse, reuse_tower
from winnow.models.engine.trace import PromptTrace, Trace
from winnow.models.engine.trunk import Trunk

__all__ = ["PromptTrace", "Reuse", "Trace", "Trunk", "attach", "reuse_tower", "trained_positions"]
