"""Whether a file is whole, as far as its container tells: what is cut off or never came shows no other sign."""

from __future__ import annotations

from pathlib import Path

from winnow.harness.data.video.breaks import WALKS
from winnow.harness.data.video.ends import MEASURES


def missing(path: Path, kind: str) -> str:
    """Say what is missing, as the boxes, chunks or packets of the file tell; empty: nothing, or none of those is known.

    Parameters
    ----------
    path : Path
    kind : str
        The container, as FFmpeg names it.
    """
    measure = next((found for name, found in MEASURES.items() if name in kind.split(",")), None)
    if measure is None:
        return ""
    size = path.stat().st_size
    with path.open("rb") as file:
        told = measure(file, size)
        if told > size:
            return f"it ends after {size} of {told} bytes"
        walk = WALKS.get(kind)
        place = walk(file, size) if walk else size
    return f"there is no packet at byte {place}" if place < size else ""
