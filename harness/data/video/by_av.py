"""PyAV: frames by their times where the plan is exact, else all frames from the first one on, counted."""

from __future__ import annotations

import gc
from bisect import bisect_right
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from winnow.harness.data.video.clip import Allocate, Clip, Sheet, rate_of, wanted
from winnow.harness.data.video.opening import opened
from winnow.harness.data.video.picture import picture
from winnow.harness.data.video.plan import Plan


class MismatchError(ValueError):
    """What a reader delivers is not what the plan says."""


def seeking(plan: Plan, frames: int, until: int | None, allocate: Allocate) -> Clip:
    """Jump to the key before each frame, and take the frame whose time the plan tells.

    Raises
    ------
    MismatchError
        If such a frame does not come.
    """
    indices = wanted(len(plan.shown), frames, until)
    sheet = Sheet(indices, allocate)
    with opened(plan.path) as container:
        _Walk(container, plan, sheet).collect()
    seconds = plan.seconds(indices)
    return Clip(sheet.whole(), indices, seconds, rate_of(seconds, plan.length), "av, by time")


class _Walk:
    """Goes through a file from key to key, decoding what the frames asked for need."""

    def __init__(self, container: Any, plan: Plan, sheet: Sheet) -> None:
        self.container, self.plan, self.sheet = container, plan, sheet
        self.stream = container.streams[plan.stream]
        self.context = self.stream.codec_context
        self.context.thread_count = 1
        self.wanted = {plan.shown[index]: index for index in sheet.indices}

    def collect(self) -> None:
        """Decode the frames of the times asked for, in order."""
        packets: Iterator[Any] = iter(())
        at = -1
        for time, index in sorted(self.wanted.items()):
            key = bisect_right(self.plan.keys, time, key=lambda key: key[0]) - 1
            if key > at and index not in self.sheet.done:
                at, packets = key, self._from(self.plan.keys[key])
            while index not in self.sheet.done:
                packet = next(packets, None)
                self._keep(self._decode(packet), time)
                if packet is None and index not in self.sheet.done:
                    raise MismatchError(f"the frame at {time * self.plan.unit:.3f} s does not come")
            let_go()

    def _from(self, key: tuple[int, int]) -> Iterator[Any]:
        """The packets from a key on."""
        self.context.flush_buffers()
        self.container.seek(min(key) if "matroska" not in self.container.format.name else key[0], stream=self.stream)
        begun = False
        for packet in self.container.demux(self.stream):
            begun = begun or packet.pts == key[0]
            if begun and packet.size:
                yield packet
            elif not begun and packet.dts is not None and packet.dts > key[1]:
                raise MismatchError("the container leads past a key")

    def _decode(self, packet: Any) -> list[Any]:
        if self.plan.codec == "h264":  # what no other frame looks at need not be decoded
            needed = packet is None or packet.pts in self.wanted
            self.context.skip_frame = "DEFAULT" if needed else "NONREF"
        return list(self.context.decode(packet))

    def _keep(self, frames: list[Any], time: int) -> None:
        for frame in frames:
            index = self.wanted.get(frame.pts)
            if index is not None and index not in self.sheet.done:
                if frame.is_corrupt:
                    raise MismatchError("a frame is damaged")
                self.sheet.put(index, picture(frame, self.sheet.size))
            elif frame.pts is None or (frame.pts > time and self.wanted[time] not in self.sheet.done):
                raise MismatchError(f"the frame at {time * self.plan.unit:.3f} s does not come")


def counting(plan: Plan, frames: int, until: int | None, allocate: Allocate) -> Clip:
    """Decode everything, as what decodes is what is shown; once more if that is not as many as the packets tell.

    Raises
    ------
    ValueError
        If nothing decodes.
    """
    total, times, damage = len(plan.shown), list[float | None](), ""
    for _ in range(2):
        sheet = Sheet(wanted(total or 1, frames, until), allocate)
        times, damage = _decode_all(plan, sheet)
        if len(times) == total:
            break
        total = len(times)
        if not total:
            raise ValueError("none of its frames decodes")
    told = _seconds(times, plan)
    seconds = [told[index] for index in sheet.indices]
    rate = rate_of(seconds, told[-1])
    return Clip(sheet.whole(), list(sheet.indices), seconds, rate, "av, all frames", plan.damage or damage)


def _decode_all(plan: Plan, sheet: Sheet) -> tuple[list[float | None], str]:
    """Decode all frames and keep some; return the time of each, and what is wrong with the file."""
    import av

    found = _Counted(sheet)
    with opened(plan.path) as container:
        stream: Any = container.streams[plan.stream]
        stream.codec_context.thread_count = 1
        for packet in container.demux(stream):
            try:
                if found.take(packet):
                    let_go()
            except av.error.FFmpegError as error:  # before the first frame a recording may begin anywhere
                found.fault(f"{error.strerror} after {len(found.times)} frames")
    return found.times, found.damage


class _Counted:
    """The frames of a video from the first one on: their times, and what is wrong with the file."""

    def __init__(self, sheet: Sheet) -> None:
        self.sheet, self.asked = sheet, set(sheet.indices)
        self.times: list[float | None] = []
        self.damage = ""

    def fault(self, what: str) -> None:
        """Note the first fault behind the first frame."""
        if self.times:
            self.damage = self.damage or what

    def take(self, packet: Any) -> bool:
        """Decode a packet, and keep what was asked for; return whether anything was."""
        before = len(self.sheet.done)
        for frame in packet.decode():
            if frame.is_corrupt:
                self.fault(f"frame {len(self.times)} is damaged")
            if len(self.times) in self.asked:
                self.sheet.put(len(self.times), picture(frame, self.sheet.size))
            self.times.append(frame.time)
        return len(self.sheet.done) > before


def let_go() -> None:
    """Free frames that were kept: PyAV's frames and their side data hold each other, 12 MB for each of 4K."""
    gc.collect(1)


def _seconds(times: list[float | None], plan: Plan) -> list[float]:
    """Seconds from the first frame on; at the mean rate where the container tells no rising times."""
    told = [time for time in times if time is not None]
    if len(told) == len(times) and all(a < b for a, b in pairwise(told)):
        return [time - told[0] for time in told]
    return [number / plan.fps for number in range(len(times))]
