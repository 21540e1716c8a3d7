"""Pictures of finished runs, fit for a two-column page."""

from winnow.harness.results.plots.layers import draw_layers, draw_schedules
from winnow.harness.results.plots.style import COLOURS, SUFFIXES
from winnow.harness.results.plots.tradeoff import AXES, Axis, draw

__all__ = ["AXES", "COLOURS", "SUFFIXES", "Axis", "draw", "draw_layers", "draw_schedules"]
