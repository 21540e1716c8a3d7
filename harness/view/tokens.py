"""Draws which tokens of a sample survive on its frames: pruned ones grey, merged ones in the colour of their group."""

from __future__ import annotations

import colorsys
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np

from harness.plots.style import FONTS, check
from harness.view.sample import Sample, Span

GOLDEN = 0.618034
"""Hues that far apart stay distinct however many there are."""
MOST_FRAMES, MOST_STAGES = 8, 6


def overlay(span: Span, layer: int) -> np.ndarray:
    """Colours to lay over the frames of a span, for one layer.

    Returns
    -------
    ndarray, shape (frames, rows, cols, 4)
        RGBA: nothing over a token that stands for itself alone, a group's colour over it and those merged into it
        (paler), grey over what is gone.
    """
    alive = span.seen(layer).ravel()
    anchor = span.anchor.ravel()
    number = np.arange(len(anchor))
    colours = np.zeros((len(anchor), 4))
    colours[~alive] = (0.35, 0.35, 0.35, 0.72)
    sizes = np.bincount(anchor, minlength=len(anchor))
    for place in map(int, np.flatnonzero((sizes > 1) & alive)):
        members = (anchor == place) & (number != place) & (span.last_layer.ravel() < layer)
        if members.any():
            colours[members] = (*hue(place), 0.38)
            colours[place] = (*hue(place), 0.62)
    return colours.reshape(*span.anchor.shape, 4)


def hue(number: int) -> tuple[float, float, float]:
    """The colour of a group."""
    return colorsys.hsv_to_rgb((number * GOLDEN) % 1, 0.75, 0.95)


def draw(sample: Sample, out: Path) -> None:
    """Draw a sample: a column per frame, a row per layer from which on fewer tokens are left.

    Parameters
    ----------
    sample : Sample
    out : Path
        The picture; its suffix decides the format.
    """
    check(out)
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    frames = [(span, i) for span in sample.spans for i in range(len(span.frames))]
    frames = [frames[i] for i in _evenly(len(frames), MOST_FRAMES)]
    stages = [sample.stages[i] for i in _evenly(len(sample.stages), MOST_STAGES)]
    with mpl.rc_context(FONTS):
        size = (0.3 + 1.05 * len(frames), 0.9 + 1.15 * len(stages))
        figure, axes = plt.subplots(len(stages), len(frames), figsize=size, squeeze=False, layout="constrained")
        for row, layer in enumerate(stages):
            for column, (span, index) in enumerate(frames):
                _frame(axes[row, column], span, index, layer)
            axes[row, 0].set_ylabel(f"layer {layer}\n{sample.visual_per_layer[layer]} tokens")
        figure.suptitle(_title(sample, 16 * len(frames)), fontsize=8, parse_math=False)
        out.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(out, dpi=150)
        plt.close(figure)


def _evenly(count: int, most: int) -> list[int]:
    return sorted({round(i) for i in np.linspace(0, count - 1, min(count, most))})


def _frame(axes: Any, span: Span, index: int, layer: int) -> None:
    picture, colours = span.frames[index], overlay(span, layer)[index]
    height, width = picture.shape[:2]
    axes.imshow(picture, extent=(0, width, height, 0))
    axes.imshow(colours, extent=(0, width, height, 0), interpolation="nearest")
    rows, cols = colours.shape[:2]
    axes.set_xticks(np.linspace(0, width, cols + 1), [])
    axes.set_yticks(np.linspace(0, height, rows + 1), [])
    axes.grid(color="white", linewidth=0.3, alpha=0.6)
    axes.tick_params(length=0)


def _title(sample: Sample, width: int) -> str:
    lines = [f"{sample.task}/{sample.doc_id} · run {sample.run}", sample.question.strip()]
    lines.append(f"answer: {sample.answer} · target: {sample.target}")
    return "\n".join(fill(line, max(50, width))[:400] for line in lines)
