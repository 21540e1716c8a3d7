"""One look for all pictures: sizes and fonts of a two-column page, colours that the colour-blind tell apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from winnow.reducers.core.errors import WinnowError

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito (2008): distinct for all common kinds of colour blindness."""
MARKERS = "osD^vPX"
SUFFIXES = {".png", ".svg", ".pdf"}
Width = Literal["column", "page"]
INCHES = {"column": 3.35, "page": 6.9}
ASPECT = {"column": 0.72, "page": 0.45}
HANDLE, LETTER, LINE = 0.32, 0.051, 0.15
"""Inches of a legend: the mark before a name, a letter, a line."""
FONTS = {
    "font.size": 8, "axes.labelsize": 8, "axes.titlesize": 8, "legend.fontsize": 7, "xtick.labelsize": 7,
    "ytick.labelsize": 7, "svg.hashsalt": "winnow", "pdf.fonttype": 42, "axes.spines.top": False,
    "axes.spines.right": False, "lines.markersize": 4, "lines.linewidth": 1.2, "legend.frameon": False,
    "legend.handlelength": 1.6, "legend.columnspacing": 1.0, "text.parse_math": False,
}  # fmt: skip
"""8 pt as in the text around it; TrueType fonts in PDFs, as publishers ask for; dollars in names are no formulas."""


def check(out: Path) -> None:
    """Refuse formats that nothing can be drawn in."""
    if out.suffix not in SUFFIXES:
        raise WinnowError(f"--out {out} is not allowed: choose a name that ends in {', '.join(sorted(SUFFIXES))}")


@contextmanager
def figure(out: Path, width: Width = "column", aspect: float | None = None, **grid: Any) -> Iterator[Any]:
    """Give the axes of a new figure; save it afterwards.

    Parameters
    ----------
    out : Path
        Its suffix decides the format.
    width : {"column", "page"}
    aspect : float or None
        Height over width; None: what suits that width.
    **grid : Any
        ``nrows``, ``ncols`` and the like.
    """
    check(out)
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    with mpl.rc_context(FONTS):
        inches = INCHES[width]
        drawn, axes = plt.subplots(figsize=(inches, inches * (aspect or ASPECT[width])), layout="constrained", **grid)
        try:
            yield axes
            out.parent.mkdir(parents=True, exist_ok=True)
            stamp = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
            drawn.savefig(out, dpi=300, metadata=stamp.get(out.suffix))
        finally:
            plt.close(drawn)


def look(number: int) -> dict[str, str]:
    """Colour and marker of the n-th curve; no pair comes twice among the first 49."""
    turn, place = divmod(number, len(COLOURS))
    return {"color": COLOURS[place], "marker": MARKERS[(place + turn) % len(MARKERS)]}


def legend(axes: Any) -> None:
    """Put the legend below the axes, where it hides no curve, and make the figure higher by as much."""
    drawn, (handles, names) = axes.figure, axes.get_legend_handles_labels()
    width, height = drawn.get_size_inches()
    columns = _columns([len(name) for name in names], width)
    drawn.set_size_inches(width, height + LINE * -(-len(names) // columns))
    drawn.legend(handles, names, loc="outside lower center", ncols=columns)


def _columns(letters: Sequence[int], inches: float) -> int:
    """The most columns that fit, each as wide as its longest name; matplotlib fills them one after the other."""
    import numpy as np

    for columns in range(len(letters), 1, -1):
        if sum(HANDLE + LETTER * max(column) for column in np.array_split(letters, columns)) <= inches:
            return columns
    return 1
