"""Where a file should end, by its container: the size that its boxes, chunks, pages or frames add up to."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import BinaryIO

SEGMENT = bytes.fromhex("18538067")
PACKET = 188
SYNC = 0x47
PAGE = 27 + 255 + 255 * 255
"""Bytes of the largest page of Ogg."""
SEQUENCE = 12_000
"""Bytes of a sequence of DV blocks: 10 of them make a frame of 525 lines, 12 one of 625."""


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


def _gif(file: BinaryIO, size: int) -> int:
    """Where the trailer of a gif stands; beyond the file where its blocks end before one comes."""
    file.seek(10)
    flags = file.read(3)[:1] or b"\0"
    file.seek(13 + _colours(flags[0]))
    while kind := file.read(1):
        if kind == b";":
            return file.tell()
        if kind == b",":
            head = file.read(9).ljust(9, b"\0")
            file.seek(_colours(head[8]) + 1, os.SEEK_CUR)
        elif kind == b"!":
            file.seek(1, os.SEEK_CUR)
        else:
            break
        while length := file.read(1)[:1]:
            if not length[0]:
                break
            file.seek(length[0], os.SEEK_CUR)
    return size + 1


def _colours(flags: int) -> int:
    """Bytes of a table of colours."""
    return 3 << (flags & 7) + 1 if flags & 128 else 0


def _pages(file: BinaryIO, size: int) -> int:
    """Where the last page of an Ogg file ends; beyond the file where that page is not said to be the last one."""
    place = max(0, size - 2 * PAGE)
    file.seek(place)
    tail = file.read()
    begin = tail.rfind(b"OggS")
    head = tail[begin : begin + 27]
    if begin < 0 or len(head) < 27:
        return size + 1
    lengths = tail[begin + 27 : begin + 27 + head[26]]
    end = place + begin + 27 + head[26] + sum(lengths)
    return end if head[5] & 4 else max(end, size + 1)


def _frames(file: BinaryIO, head: int, skipped: int, lead: int) -> int:
    """Where the last of some frames ends, each behind its length."""
    place, size = head, file.seek(0, os.SEEK_END)
    while place < size:
        file.seek(place + skipped)
        place += lead + int.from_bytes(file.read(4), "little")
    return place


def _ivf(file: BinaryIO, size: int) -> int:
    return _frames(file, head=32, skipped=0, lead=12)


def _roq(file: BinaryIO, size: int) -> int:
    return _frames(file, head=8, skipped=2, lead=8)


def _dv(file: BinaryIO, size: int) -> int:
    """Where the last frame of raw DV ends: all have one length, as their lines have."""
    frame = SEQUENCE * (12 if file.read(4)[-1] & 0x80 else 10)
    return size + -size % frame


MEASURES: dict[str, Callable[[BinaryIO, int], int]] = {
    "mov": _boxes,
    "matroska": _segment,
    "avi": _chunks,
    "mpegts": _packets,
    "flv": _tags,
    "gif": _gif,
    "ogg": _pages,
    "ivf": _ivf,
    "roq": _roq,
    "dv": _dv,
}
"""By container, as FFmpeg names it."""
