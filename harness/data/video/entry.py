"""Packets at which decoding can begin, so that all that is shown from then on is exact."""

from __future__ import annotations

from collections.abc import Iterator

CODECS = {"h264", "hevc", "vp8", "vp9", "libdav1d", "av1", "mjpeg", "prores", "ffv1"}
"""Those of which each packet gives one frame, and key packets are told by the container."""
SLICE_IDR, SEI = 5, 6
RECOVERY = 6


def clean(codec: str, data: bytes, extra: bytes) -> bool:
    """Whether decoding can begin at a key packet.

    In H.264 a container may call a packet a key that only begins a gradual refresh: an IDR picture will do, or a
    recovery point (ISO/IEC 14496-10, D.1.8) that is exact at once. In HEVC every random access picture will do, as
    frames before it in time are not asked of it.
    """
    if codec != "h264":
        return True
    for unit in units(data, extra):
        kind = unit[0] & 31
        if kind == SLICE_IDR or (kind == SEI and _recovers(unit[1:])):
            return True
    return False


def units(data: bytes, extra: bytes) -> Iterator[bytes]:
    """The NAL units of a packet, behind start codes or with their lengths in front."""
    if not extra or extra[0] != 1:
        yield from (unit for unit in data.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1") if unit)
        return
    width, place = (extra[4] & 3) + 1, 0
    while place + width < len(data):
        length = int.from_bytes(data[place : place + width], "big")
        if length:
            yield data[place + width : place + width + length]
        place += width + length


def hidden(codec: str, data: memoryview) -> bool:
    """Whether a packet is shown by nothing: VP8's alternate reference frames."""
    return codec == "vp8" and bool(len(data)) and not data[0] & 16


def hollow(codec: str, data: memoryview) -> bool:
    """Whether a packet of H.264 or HEVC begins or ends with zeros, as where a download left a hole."""
    return codec in {"h264", "hevc"} and len(data) > 32 and (not any(data[:4]) or not any(data[-32:]))


def _recovers(message: bytes) -> bool:
    """Whether a message says that the picture itself is exact: no frame until recovery, which is one bit, 1."""
    place = 0
    while place + 2 < len(message):
        kind = message[place]
        length = message[place + 1]
        if kind == 255 or length == 255:  # longer than any recovery point
            return kind == RECOVERY
        if kind == RECOVERY:
            return bool(message[place + 2] & 128)
        place += 2 + length
    return False
