"""Three libraries that decode videos; decord unless ``$WINNOW_DECODER`` says otherwise."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from winnow.reducers.core.errors import WinnowError

if TYPE_CHECKING:
    import numpy as np

Decoded = tuple["np.ndarray", float]
"""Frames, RGB uint8 ``(frames, height, width, 3)``, and how many of them there are a second."""

DEFAULT = "decord"


def uniform_indices(total: int, frames: int) -> np.ndarray:
    """Indices of `frames` frames, evenly spread from the first to the last of `total`; a short video repeats some.

    Fractions are cut off, as the loaders of LLaVA-NeXT, LongVA and lmms-eval do (``np.linspace(…, dtype=int)``).
    """
    import numpy as np

    return np.linspace(0, total - 1, frames, dtype=int)


def by_decord(path: Path, frames: int, until: int | None) -> Decoded:
    """Decode with decord."""
    import decord

    decord.logging.set_level(decord.logging.QUIET)
    reader = decord.VideoReader(str(path), num_threads=1)
    total = _seen(len(reader), until)
    found: np.ndarray = reader.get_batch(uniform_indices(total, frames)).asnumpy()
    return found, _rate(reader.get_avg_fps(), total, frames)


def by_av(path: Path, frames: int, until: int | None) -> Decoded:
    """Decode with PyAV, from the beginning on, counting: exact whatever the container says."""
    import av
    import numpy as np

    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        rate = float(stream.average_rate or stream.guessed_rate or 1)
        total = _seen(stream.frames or sum(1 for _ in container.decode(stream)), until)
        container.seek(0)
        wanted = uniform_indices(total, frames)
        last, needed = int(wanted.max()), set(wanted.tolist())
        held: dict[int, np.ndarray] = {}
        for number, frame in enumerate(container.decode(stream)):
            if number in needed:
                held[number] = frame.to_ndarray(format="rgb24")
            if number >= last:
                break
    missing = needed - set(held)
    if missing:
        raise ValueError(f"it ends before frame {min(missing)} of {total}")
    return np.stack([held[number] for number in wanted.tolist()]), _rate(rate, total, frames)


def by_torchcodec(path: Path, frames: int, until: int | None) -> Decoded:
    """Decode with torchcodec."""
    from torchcodec.decoders import VideoDecoder

    decoder: Any = VideoDecoder(str(path), dimension_order="NHWC")
    total = _seen(len(decoder), until)
    found: np.ndarray = decoder.get_frames_at(uniform_indices(total, frames).tolist()).data.numpy()
    return found, _rate(decoder.metadata.average_fps, total, frames)


DECODERS: dict[str, Callable[[Path, int, int | None], Decoded]] = {
    "decord": by_decord,
    "av": by_av,
    "torchcodec": by_torchcodec,
}


def chosen() -> str:
    """The library in use.

    Raises
    ------
    WinnowError
        If ``$WINNOW_DECODER`` names another.
    """
    name = os.environ.get("WINNOW_DECODER") or DEFAULT
    if name not in DECODERS:
        raise WinnowError(f"WINNOW_DECODER={name} is not known: choose {' | '.join(DECODERS)}")
    return name


def _seen(total: int, until: int | None) -> int:
    if total < 1:
        raise ValueError("it has no frames")
    return total if until is None else min(total, until + 1)


def _rate(rate: float, total: int, frames: int) -> float:
    return float(rate) * max(1, frames - 1) / max(1, total - 1)
