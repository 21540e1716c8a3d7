"""Reads frames of a video: the fastest reader that is exact for the file's plan, or the one that a user asks for."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from winnow.harness.common.errors import first_line
from winnow.harness.data.video.by_av import counting, seeking
from winnow.harness.data.video.clip import Allocate, Clip, private
from winnow.harness.data.video.moving import SUFFIXES, by_pillow
from winnow.harness.data.video.others import by_decord, by_torchcodec
from winnow.harness.data.video.plan import Plan, make_plan
from winnow.reducers.core.errors import WinnowError, choose

DEFAULT = "auto"


def by_av(plan: Plan, frames: int, until: int | None, allocate: Allocate) -> Clip:
    """Decode with PyAV: by the times of frames where that is exact, else all of them."""
    if plan.exact and not plan.damage:
        try:
            return seeking(plan, frames, until, allocate)
        except (OSError, ValueError):  # a file that hides a fault: what decodes from the beginning on decides
            pass
    return counting(plan, frames, until, allocate)


DECODERS: dict[str, Callable[[Plan, int, int | None, Allocate], Clip]] = {
    "auto": by_av,
    "av": by_av,
    "decord": by_decord,
    "torchcodec": by_torchcodec,
}
"""By name. PyAV reads H.264, HEVC and VP9 faster than decord for the same frames (``scripts/bench.py media``), and is
exact for every file; so it is what `auto` takes."""


def read(
    path: Path,
    frames: int,
    until: int | None = None,
    reader: str = DEFAULT,
    accept: bool = False,
    allocate: Allocate = private,
) -> Clip:
    """Read frames of a video.

    Parameters
    ----------
    path : Path
    frames : int
        How many, at uniform places.
    until : int or None
        The last frame to look at, counted from 0; None: that of the video.
    reader : str
        One of `DECODERS`.
    accept : bool
        Take what decodes of a damaged file.
    allocate : callable
        Makes the place where the frames go.

    Raises
    ------
    WinnowError
        Names the file and the reason: no video, damaged, or beyond the reader that was asked for.
    """
    try:
        if path.suffix.lower() in SUFFIXES:
            return by_pillow(path, frames, until, allocate)
        plan = make_plan(path)
        if plan.damage and not accept:
            raise _damaged(path, plan.damage)
        found = (by_av if plan.damage else DECODERS[reader])(plan, frames, until, allocate)
    except WinnowError:
        raise
    except Exception as error:  # every library raises its own classes
        mend = "it is truncated or no video; download it again"
        if reader not in {"auto", "av"}:
            mend = "unset WINNOW_DECODER, which chooses what can read it"
        raise WinnowError(f"video {path} cannot be decoded ({first_line(error)}): {mend}") from error
    if found.damage and not accept:
        raise _damaged(path, found.damage)
    return found


def _damaged(path: Path, damage: str) -> WinnowError:
    return WinnowError(
        f"video {path} is damaged ({damage}): download it again, or say media.accept_damaged=true for what decodes"
    )


def chosen() -> str:
    """The reader asked for by ``$WINNOW_DECODER``.

    Raises
    ------
    WinnowError
        If it names another.
    """
    name = os.environ.get("WINNOW_DECODER") or DEFAULT
    if name not in DECODERS:
        raise WinnowError(f"WINNOW_DECODER={name} is not known: {choose(name, DECODERS, ' | ')}")
    return name
