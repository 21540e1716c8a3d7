"""Pictures of finished runs, fit for a two-column page."""

from harness.plots.layers import draw_layers, draw_schedules
from harness.plots.style import COLOURS, SUFFIXES
from harness.plots.tradeoff import AXES, Axis, draw

__all__ = ["AXES", "COLOURS", "SUFFIXES", "Axis", "draw", "draw_layers", "draw_schedules"]
