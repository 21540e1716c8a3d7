"""What became of each visual token, packed: a row holds thousands of them, and a journal tens of thousands of rows."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    Numbers = Sequence[int] | np.ndarray


def pack(last_layer: Numbers, anchor: Numbers) -> bytes:
    """Pack the path of a prompt's visual tokens.

    Each number is stored as its place among the distinct ones, in bit planes, so that a method that cuts once takes a
    bit a token; anchors only of tokens that were merged into another one.

    Parameters
    ----------
    last_layer, anchor : sequence of int, or 1-D integer array, of equal length
        As in `Row.tokens`.
    """
    import numpy as np

    last, target = np.asarray(last_layer, np.int64), np.asarray(anchor, np.int64)
    if last.shape != target.shape:
        raise ValueError("each visual token has one last layer and one anchor")
    moved = target != np.arange(len(target))
    parts = (last, moved.astype(np.int64), target[moved])
    return zlib.compress(b"".join(map(_encode, parts))) if len(last) else b""


def unpack(packed: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Give back what was packed: last layers and anchors, each of shape ``(visual,)``.

    Raises
    ------
    ValueError
        If `pack` did not write it.
    """
    import numpy as np

    if not packed:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    try:
        data, parts = zlib.decompress(packed), []
        for _ in range(3):
            values, data = _decode(data)
            parts.append(values)
        last, moved, target = parts
        anchor = np.arange(len(last))
        anchor[moved.astype(bool)] = target
    except (zlib.error, IndexError) as error:
        raise ValueError("these are not the tokens of a prompt") from error
    return last, anchor


def _encode(values: np.ndarray) -> bytes:
    """Numbers as a table of the distinct ones, by steps, and the bit planes of each number's place in it."""
    import numpy as np

    table, place = np.unique(values, return_inverse=True)
    planes = place >> np.arange(_width(len(table)))[:, None] & 1
    steps = np.diff(table, prepend=0).astype("<i4").view(np.uint8).reshape(-1, 4)
    head = np.array([len(values), len(table)], "<u4")
    return head.tobytes() + steps.T.tobytes() + np.packbits(planes.astype(bool), axis=1).tobytes()


def _decode(data: bytes) -> tuple[np.ndarray, bytes]:
    import numpy as np

    count, size = (int(n) for n in np.frombuffer(data[:8], "<u4"))
    middle, row = 8 + 4 * size, (count + 7) // 8
    end = middle + row * _width(size)
    steps = np.frombuffer(data[8:middle], np.uint8).reshape(4, size).T.copy().view("<i4")[:, 0]
    planes = np.unpackbits(np.frombuffer(data[middle:end], np.uint8).reshape(_width(size), row), axis=1, count=count)
    place = (planes.astype(np.int64) << np.arange(_width(size))[:, None]).sum(0)
    return np.cumsum(steps.astype(np.int64))[place], data[end:]


def _width(size: int) -> int:
    """Bits that the places in a table of this size take."""
    return max(size - 1, 0).bit_length()
