"""decord and torchcodec: counted alike where nothing in a file is hidden or cut away, and held to the same plan."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from winnow.harness.data.video.by_av import MismatchError
from winnow.harness.data.video.clip import Allocate, Clip, rate_of, wanted
from winnow.harness.data.video.opening import opened
from winnow.harness.data.video.picture import picture
from winnow.harness.data.video.plan import Plan

if TYPE_CHECKING:
    import numpy as np

TICK = 0.002
"""Seconds that a library's times may part from the plan's: some containers round to milliseconds."""
LEVELS = 3.0
"""Grey levels, in the mean, that a library's first frame may part from PyAV's: other conversions of colour."""


def by_decord(plan: Plan, frames: int, until: int | None, allocate: Allocate) -> Clip:
    """Decode with decord; it tells the times of its own index alone, so only files that hide nothing are given to it.

    Raises
    ------
    MismatchError
        If the plan is another.
    """
    import decord

    decord.logging.set_level(decord.logging.QUIET)
    if not plan.plain:
        raise MismatchError("decord counts other frames in files of this kind")
    reader = decord.VideoReader(str(plan.path.absolute()), num_threads=1)
    indices = wanted(len(reader), frames, until)
    times = [float(reader.get_frame_timestamp(index)[0]) for index in indices]
    begin = float(reader.get_frame_timestamp(0)[0])
    found: np.ndarray = reader.get_batch(indices).asnumpy()
    clip = _checked(plan, len(reader), found, indices, [time - begin for time in times], "decord")
    return _moved(clip, allocate)


def by_torchcodec(plan: Plan, frames: int, until: int | None, allocate: Allocate) -> Clip:
    """Decode with torchcodec, where it is installed.

    Raises
    ------
    MismatchError
        If the plan is another.
    """
    from torchcodec.decoders import VideoDecoder

    decoder: Any = VideoDecoder(
        str(plan.path.absolute()),
        stream_index=plan.stream,
        dimension_order="NHWC",
        num_ffmpeg_threads=1,
        seek_mode="exact",
    )
    indices = wanted(len(decoder), frames, until)
    batch = decoder.get_frames_at(indices)
    begin = float(decoder.get_frame_at(0).pts_seconds)
    times = [float(time) - begin for time in batch.pts_seconds]
    clip = _checked(plan, len(decoder), batch.data.numpy(), indices, times, "torchcodec")
    return _moved(clip, allocate)


def _checked(plan: Plan, total: int, found: np.ndarray, indices: list[int], times: list[float], reader: str) -> Clip:
    if not plan.exact or total != len(plan.shown):
        raise MismatchError(f"{reader} counts {total} frames, and the packets tell otherwise")
    seconds = plan.seconds(indices)
    if any(abs(time - told) > TICK for time, told in zip(times, seconds, strict=True)):
        raise MismatchError(f"{reader} delivers frames of other times than the packets tell")
    first = _first(plan)
    if found[0].shape != first.shape or abs(found[0].astype(float) - first).mean() > LEVELS:
        raise MismatchError(f"{reader} shows the first frame otherwise")
    return Clip(found, indices, seconds, rate_of(seconds, plan.length), reader)


def _moved(clip: Clip, allocate: Allocate) -> Clip:
    place = allocate(clip.frames.shape)
    place[:] = clip.frames
    return replace(clip, frames=place)


def _first(plan: Plan) -> np.ndarray:

    container: Any
    with opened(plan.path) as container:
        first: np.ndarray = picture(next(container.decode(container.streams[plan.stream])))
    return first
