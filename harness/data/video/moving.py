"""Moving pictures of which FFmpeg reads nothing (WebP) or the still alone (AVIF): frame by frame with Pillow."""

from __future__ import annotations

from itertools import accumulate
from pathlib import Path

from winnow.harness.data.video.clip import Allocate, Clip, Sheet, rate_of, wanted

SUFFIXES = {".webp", ".avif"}


def by_pillow(path: Path, frames: int, until: int | None, allocate: Allocate) -> Clip:
    """Read frames of a moving picture; the first is shown at 0, and each as long as the file says.

    Raises
    ------
    OSError, ValueError
        If it is broken or cut off.
    """
    import numpy as np
    from PIL import Image

    with Image.open(path) as picture:
        total = int(getattr(picture, "n_frames", 1))
        sheet, lengths = Sheet(wanted(total, frames, until), allocate), list[float]()
        for number in range(total):
            picture.seek(number)
            picture.load()
            if number in sheet.indices:
                sheet.put(number, np.asarray(picture.convert("RGB")))
            lengths.append(float(picture.info.get("duration") or 0) / 1000)
    shown = [0.0, *accumulate(lengths)]
    seconds = [shown[index] for index in sheet.indices]
    return Clip(sheet.whole(), list(sheet.indices), seconds, rate_of(seconds, shown[-1]), "pillow")
