"""The exact plan of a video: which frames it shows and when, made from its packets without decoding any."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from winnow.harness.data.video import entry
from winnow.harness.data.video.container import missing
from winnow.harness.data.video.opening import opened
from winnow.reducers.core.errors import WinnowError

COMPLAINTS = ("prematurely", "invalid as first byte", "mismatch", "partial")
"""Words of what FFmpeg logs when it reads over a fault of a container."""
INDEXED = {"mov", "matroska"}
"""Containers that tell the time of every frame."""


@dataclass(frozen=True, eq=False)
class Plan:
    """What a video shows.

    Attributes
    ----------
    path : Path
    stream : int
        Number of the video stream among all streams: the one marked as default, else the first; never a cover picture.
    codec : str
        FFmpeg's name of the decoder.
    unit : float
        Seconds of one tick of the times below.
    shown : list of int
        Time of each frame that is shown, in order; where the plan is not `exact`, only their number is a first guess.
    keys : list of (int, int)
        Time of presentation and of decoding of the packets where decoding can begin.
    exact : bool
        Whether decoding can tell nothing more: one can ask for a frame by its time.
    plain : bool
        Whether nothing is hidden, cut away or reordered over key frames, so that any library counts alike.
    fps : float
        Mean rate, for frames whose time is not told.
    damage : str
        What is wrong with the file; empty: nothing that the packets tell.
    """

    path: Path
    stream: int
    codec: str
    unit: float
    shown: list[int]
    keys: list[tuple[int, int]]
    exact: bool
    plain: bool
    fps: float
    damage: str

    @property
    def length(self) -> float:
        """Seconds from the first frame to the last."""
        return (self.shown[-1] - self.shown[0]) * self.unit

    def seconds(self, indices: Sequence[int]) -> list[float]:
        """When some frames are shown, from the first one on; of an exact plan."""
        return [(self.shown[index] - self.shown[0]) * self.unit for index in indices]


def pick(container: Any) -> Any:
    """Choose the video stream that players show.

    Raises
    ------
    WinnowError
        If there is none.
    """
    import av

    cover = av.stream.Disposition.attached_pic
    streams = [stream for stream in container.streams.video if not stream.disposition & cover]
    if not streams:
        kinds = ", ".join(sorted({stream.type for stream in container.streams if stream.type != "video"}))
        raise WinnowError(
            f"video {container.name} has no video stream ({kinds or 'no other'} alone): give a file with pictures"
        )
    marked = (stream for stream in streams if stream.disposition & av.stream.Disposition.default)
    return next(marked, streams[0])


def make_plan(path: Path) -> Plan:
    """Read all packets of a video.

    Raises
    ------
    OSError, ValueError
        If it is no video; FFmpeg's errors are of these classes.
    WinnowError
        If it holds sound alone.
    """
    with _listening() as said, opened(path) as container:
        stream = pick(container)
        packets = _packets(container, stream)
        plan = _plan(path, container.format.name, stream, packets, said)
    return plan  # noqa: RET504


@contextmanager
def _listening() -> Iterator[Sequence[Any]]:
    """Collect what FFmpeg logs; small files are read as a whole when they are opened."""
    import av

    av.logging.set_level(av.logging.WARNING)
    av.logging.set_skip_repeated(False)  # the same words about two files are two faults
    try:
        with av.logging.Capture(local=False) as said:
            yield said
    finally:
        av.logging.set_level(None)


@dataclass(frozen=True)
class _Packet:
    time: int | None
    decoded: int | None
    marked: bool
    key: bool
    discarded: bool
    hidden: bool
    hollow: bool


def _packets(container: Any, stream: Any) -> list[_Packet]:
    codec, extra = stream.codec_context.name, bytes(stream.codec_context.extradata or b"")
    found = []
    for packet in container.demux(stream):
        if packet.size:
            data = memoryview(packet)
            key = packet.is_keyframe and entry.clean(codec, bytes(data), extra)
            found.append(
                _Packet(
                    packet.pts,
                    packet.dts,
                    packet.is_keyframe,
                    key,
                    packet.is_discard,
                    entry.hidden(codec, data),
                    entry.hollow(codec, data),
                )
            )
    return found


def _plan(path: Path, kind: str, stream: Any, packets: list[_Packet], said: Sequence[Any]) -> Plan:
    """Put the packets in order; the plan is exact where each shown one has a time of its own behind a first key."""
    codec = stream.codec_context.name
    shown = [packet for packet in packets if not packet.discarded and not packet.hidden]
    times = sorted(packet.time for packet in shown if packet.time is not None)
    keys = sorted((p.time, p.time if p.decoded is None else p.decoded) for p in packets if p.key and p.time is not None)
    told = codec in entry.CODECS and bool(INDEXED & set(kind.split(",")))
    first = packets[0] if packets else None
    exact = (
        told
        and first is not None
        and first.key
        and len(set(times)) == len(shown)
        and first.time is not None
        and times[0] >= first.time
    )
    plain = exact and len(shown) == len(packets) and all(p.key for p in packets if p.marked) and _closed(packets)
    fps = float(stream.average_rate or stream.guessed_rate or 1)
    damage = missing(path, kind) or _said(said, kind) or _holes(packets)
    if not exact:
        times = list(range(len(shown)))
    return Plan(path, stream.index, codec, float(stream.time_base), times, keys, exact, plain, fps, damage)


def _closed(packets: Sequence[_Packet]) -> bool:
    """Whether no frame that follows a key in the file is shown before it."""
    last = None
    for packet in packets:
        last = packet.time if packet.key else last
        if last is not None and packet.time is not None and packet.time < last:
            return False
    return True


def _said(said: Sequence[Any], kind: str) -> str:
    """What the reader of the container complained of, which it reads over; not what the parsers of codecs say."""
    for _, name, text in said:
        if name in kind and any(word in text for word in COMPLAINTS):
            return str(text.strip().splitlines()[0])
    return ""


def _holes(packets: Sequence[_Packet]) -> str:
    count = sum(packet.hollow for packet in packets)
    return f"{count} of {len(packets)} packets hold zeros" if count else ""
