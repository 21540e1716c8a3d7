"""One decoded frame as RGB, the way it is shown."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

MATRIX = "DISPLAYMATRIX"


def picture(frame: Any, size: tuple[int, int] | None = None) -> np.ndarray:
    """Turn a frame of PyAV into pixels: colours as it is tagged, turned and mirrored as its display matrix says.

    Parameters
    ----------
    frame : VideoFrame
    size : (int, int) or None
        Height and width of the result; None: its own.

    Returns
    -------
    ndarray
        RGB, ``(height, width, 3)``, uint8; a view of FFmpeg's memory, which it keeps.
    """
    import numpy as np
    from av.video.reformatter import Colorspace, Interpolation

    turns, mirrored = orientation(frame)
    height, width = size or (0, 0)
    if turns % 2:
        height, width = width, height
    # RGB has no matrix; but where this one and the range are the source's, PyAV leaves swscale at BT.601, limited range
    other = Colorspace.ITU601 if frame.colorspace == Colorspace.ITU709 else Colorspace.ITU709
    shaped = frame.reformat(
        width=width or None,
        height=height or None,
        format="rgb24",
        src_colorspace=frame.colorspace,
        src_color_range=frame.color_range,
        dst_colorspace=other,
        dst_color_range=2,
        interpolation=Interpolation.BICUBIC,
    )
    (plane,) = shaped.planes
    pixels: np.ndarray = np.ndarray((shaped.height, shaped.width, 3), np.uint8, plane, 0, (plane.line_size, 3, 1))
    found = np.rot90(pixels, turns)
    return found[:, ::-1] if mirrored else found


def orientation(frame: Any) -> tuple[int, bool]:
    """Quarter turns against the clock, and whether it is mirrored from left to right after them."""
    for data in frame.side_data:
        if data.type.name == MATRIX:
            a, b, _, c, d = struct.unpack("<9i", bytes(data)[:36])[:5]
            return _turns(a, b, c, d)
    return 0, False


def _turns(a: int, b: int, c: int, d: int) -> tuple[int, bool]:
    mirrored = a * d - b * c < 0
    if mirrored:
        a, c = -a, -c
    if abs(a) >= abs(b):
        return (0 if a > 0 else 2), mirrored
    return (3 if b > 0 else 1), mirrored
