"""Where a file breaks off inside, by its container, of what FFmpeg reads over without a word."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO

from winnow.harness.data.video.ends import PACKET, SYNC


def _sync(file: BinaryIO, size: int) -> int:
    """The first packet of a transport stream that does not begin as one; the size if all do."""
    file.seek(0)
    place = 0
    while piece := file.read(PACKET * 10_000):
        begins = piece[::PACKET]
        if begins.count(SYNC) < len(begins):
            return size if not place and begins[0] != SYNC else place + PACKET * _first_other(begins)
        place += len(piece)
    return size


def _first_other(begins: bytes) -> int:
    return len(begins) - len(begins.lstrip(bytes([SYNC])))


def _walk(file: BinaryIO, size: int) -> int:
    """The first chunk of an AVI file that has no name; the size if all have one."""
    place = 0
    while place + 12 <= size:
        file.seek(place)
        name, length, kind = file.read(4), int.from_bytes(file.read(4), "little"), file.read(4)
        if not name.isalnum() and not name.strip().isalnum():
            return place
        inside = name == b"RIFF" or (name == b"LIST" and kind in {b"movi", b"rec "})
        place += 12 if inside else 8 + length + length % 2
    return size


def _chain(file: BinaryIO, size: int) -> int:
    """The first byte of an Ogg file where no page begins that should; the size if all do."""
    place = 0
    while place + 27 <= size:
        file.seek(place)
        head = file.read(27)
        if not head.startswith(b"OggS"):
            return place
        place += 27 + head[26] + sum(file.read(head[26]))
    return size


WALKS: dict[str, Callable[[BinaryIO, int], int]] = {"mpegts": _sync, "avi": _walk, "ogg": _chain}
"""By container, as FFmpeg names it."""
