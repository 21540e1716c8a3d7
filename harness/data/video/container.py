"""Whether a file is whole, as far as its container tells: what is cut off or never came shows no other sign."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

SEGMENT = bytes.fromhex("18538067")
PACKET = 188
SYNC = 0x47


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


def _boxes(file: BinaryIO, size: int) -> int:
    """Where the last top-level box of an MP4 file ends."""
    place = 0
    while place + 8 <= size:
        file.seek(place)
        length = int.from_bytes(file.read(4), "big")
        name = file.read(4)
        if length == 1:
            length = int.from_bytes(file.read(8), "big")
        if length == 0 or not name.isascii() or length < 8:  # a box up to the end, or what is no box
            return size
        place += length
    return place


def _segment(file: BinaryIO, size: int) -> int:
    """Where the segment of a Matroska file ends; live ones leave that open."""
    head = file.read(4096)
    place = head.find(SEGMENT) + len(SEGMENT)
    if place < len(SEGMENT) or place >= len(head) or not head[place]:
        return size
    width = 9 - head[place].bit_length()
    length = int.from_bytes(head[place : place + width], "big") & ((1 << 7 * width) - 1)
    return size if length == (1 << 7 * width) - 1 else place + width + length


def _chunks(file: BinaryIO, size: int) -> int:
    """Where the last RIFF chunk of an AVI file ends; a size of 0 was never filled in."""
    place = 0
    while place + 12 <= size:
        file.seek(place)
        name, length = file.read(4), int.from_bytes(file.read(4), "little")
        if name != b"RIFF" or not length:
            return size
        place += 8 + length + length % 2
    return min(place, size) if place - size == 1 else place


def _packets(file: BinaryIO, size: int) -> int:
    """Where the last packet of a transport stream ends."""
    begin = file.read(PACKET + 1)
    plain = len(begin) > PACKET and begin[0] == begin[PACKET] == SYNC
    return size + -size % PACKET if plain else size


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


def _tags(file: BinaryIO, size: int) -> int:
    """Where the last tag of a Flash file ends: its length stands behind it."""
    if size < 16:
        return size
    file.seek(-4, os.SEEK_END)
    length = int.from_bytes(file.read(4), "big")
    if not 11 <= length <= size - 13:
        return size + 1
    file.seek(size - 4 - length)
    head = file.read(4)
    return size if int.from_bytes(head[1:], "big") + 11 == length else size + 1


MEASURES: dict[str, Callable[[BinaryIO, int], int]] = {
    "mov": _boxes,
    "matroska": _segment,
    "avi": _chunks,
    "mpegts": _packets,
    "flv": _tags,
}
"""By container: how many bytes the file should have."""

WALKS: dict[str, Callable[[BinaryIO, int], int]] = {"mpegts": _sync, "avi": _walk}
"""By container: where its packets break off, of those that FFmpeg reads over without a word."""
