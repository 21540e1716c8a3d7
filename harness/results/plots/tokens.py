"""Draws which tokens of a sample survive on its frames: pruned ones grey, merged ones in the colour of their group."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np

from winnow.harness.common.plain import visible
from winnow.harness.results.plots.sample import Sample, Span
from winnow.harness.results.plots.style import FONTS, check

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GOLDEN = 0.618034
"""Hues that far apart stay distinct however many there are."""
MOST_FRAMES, MOST_STAGES = 8, 6
TILE, GAP, DPI = 150, 8, 150
"""Pixels of a frame's height and between frames; per inch."""
LEFT, LINE, NARROW = 0.75, 0.15, 3.35
"""Inches for the names of the rows, of a line of the title, and of the least width that holds one."""
BORDER = (255, 255, 255, 110)


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
    numbers = _evenly(len(frames), MOST_FRAMES)
    stages = [sample.stages[i] for i in _evenly(len(sample.stages), MOST_STAGES)]
    drawn, across, down = mosaic([frames[i] for i in numbers], stages)
    with mpl.rc_context(FONTS):
        figure, axes = _around(drawn, _title(sample, round(drawn.shape[1] / 9)))
        axes.set_yticks(down, [f"layer {layer}\n{sample.visual_per_layer[layer]} tokens" for layer in stages])
        axes.set_xticks(across, [f"frame {number}" for number in numbers])
        axes.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
        axes.spines[:].set_visible(False)
        out.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(out, dpi=DPI)
        plt.close(figure)


def _around(drawn: np.ndarray, title: str) -> tuple[Figure, Axes]:
    """A figure that shows a picture pixel by pixel, with room for labels to its left and for the title above."""
    from matplotlib import pyplot as plt

    own, high = drawn.shape[1] / DPI, drawn.shape[0] / DPI
    wide, tall = max(NARROW, own + LEFT), high + LINE * (2.5 + title.count("\n"))
    figure = plt.figure(figsize=(wide, tall))
    axes = figure.add_axes((LEFT / wide, 0, own / wide, high / tall))
    axes.imshow(drawn, aspect="auto", interpolation="none")
    figure.text(0.5, 1 - 0.3 * LINE / tall, title, ha="center", va="top", fontsize=8)
    return figure, axes


def mosaic(frames: Sequence[tuple[Span, int]], stages: Sequence[int]) -> tuple[np.ndarray, list[float], list[float]]:
    """Put frames side by side, and below them the same frames at later layers.

    Parameters
    ----------
    frames : sequence of (Span, int)
        Spans, and which of their frames.
    stages : sequence of int
        Layers.

    Returns
    -------
    ndarray, shape (height, width, 3), and two lists of float
        The picture, and the middle of each column and row.
    """
    tiles = [[_tile(span, i, layer) for span, i in frames] for layer in stages]
    ends = np.cumsum([tile.shape[1] for tile in tiles[0]])
    across = [end - (tile.shape[1] + GAP) / 2 for end, tile in zip(ends, tiles[0], strict=True)]
    down = [(TILE + GAP) * number + TILE / 2 for number in range(len(tiles))]
    return np.concatenate([np.concatenate(row, 1) for row in tiles]), across, down


def _evenly(count: int, most: int) -> list[int]:
    return sorted({round(i) for i in np.linspace(0, count - 1, min(count, most))})


def _tile(span: Span, index: int, layer: int) -> np.ndarray:
    """One frame with its tokens' colours and their borders, and some white to the right and below."""
    from PIL import Image, ImageDraw

    colours = (255 * overlay(span, layer)[index]).astype(np.uint8)
    picture = Image.fromarray(np.ascontiguousarray(span.frames[index])).convert("RGBA")
    size = (max(1, round(TILE * picture.width / picture.height)), TILE)
    over = Image.fromarray(colours).resize(size, Image.Resampling.NEAREST)
    borders = ImageDraw.Draw(lines := Image.new("RGBA", size))
    for x in np.linspace(0, size[0] - 1, colours.shape[1] + 1).round():
        borders.line([(x, 0), (x, TILE)], fill=BORDER)
    for y in np.linspace(0, TILE - 1, colours.shape[0] + 1).round():
        borders.line([(0, y), (size[0], y)], fill=BORDER)
    how = Image.Resampling.NEAREST if picture.height < TILE else Image.Resampling.LANCZOS
    done = Image.alpha_composite(Image.alpha_composite(picture.resize(size, how), over), lines)
    return np.pad(np.asarray(done.convert("RGB")), ((0, GAP), (0, GAP), (0, 0)), constant_values=255)


def _title(sample: Sample, width: int) -> str:
    lines = [f"{sample.task}/{sample.doc_id} · run {sample.run}", sample.question.strip()]
    lines.append(f"answer: {sample.answer} · target: {sample.target}")
    return "\n".join(fill(visible(line, keep="\n"), max(50, width))[:400] for line in lines)
