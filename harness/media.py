"""Frames of videos, decoded with decord at uniform places."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from harness.errors import first_line
from models.prompt import Prompt
from reducers.errors import WinnowError

PICTURES = {".png", ".jpg", ".jpeg", ".webp", ".bmp"}


def uniform_indices(total: int, frames: int) -> np.ndarray:
    """Indices of `frames` frames, evenly spread from the first to the last of `total`; a short video repeats some."""
    return np.linspace(0, total - 1, frames).round().astype(int)


def decode_video(path: Path | str, frames: int, until: int | None = None) -> np.ndarray:
    """Decode some frames of a video.

    Parameters
    ----------
    path : Path or str
    frames : int
        How many, at uniform places.
    until : int or None
        The last frame to look at, counted from 0; None: that of the video.

    Returns
    -------
    ndarray
        RGB, shape ``(frames, height, width, 3)``, uint8.

    Raises
    ------
    WinnowError
        Names the file and the reason.
    """
    return sample_video(path, frames, until)[0]


def sample_video(path: Path | str, frames: int, until: int | None = None) -> tuple[np.ndarray, float]:
    """Decode some frames of a video, see `decode_video`, and say how many of them there are a second."""
    path = Path(path)
    return _decode(path, path.stat().st_mtime_ns if path.is_file() else 0, frames, until)


def forget() -> None:
    """Forget the last video, so that it is decoded anew."""
    _decode.cache_clear()


@lru_cache(maxsize=1)
def _decode(path: Path, changed: int, frames: int, until: int | None) -> tuple[np.ndarray, float]:
    """Decode; the last video is remembered, as benchmarks ask several questions in a row about one."""
    if not path.is_file():
        raise WinnowError(f"video {path} does not exist: download the benchmark's videos, or mend HF_HOME")
    if path.stat().st_size == 0:
        raise WinnowError(f"video {path} is empty (0 bytes): download it again")
    import decord

    decord.logging.set_level(decord.logging.QUIET)
    try:
        reader = decord.VideoReader(str(path), num_threads=1)
        total = len(reader) if until is None else min(len(reader), until + 1)
        decoded: np.ndarray = reader.get_batch(uniform_indices(total, frames)).asnumpy()
        rate = float(reader.get_avg_fps()) * max(1, frames - 1) / max(1, total - 1)
    except Exception as error:  # decord raises its own classes, RuntimeError and IndexError alike
        raise WinnowError(
            f"video {path} cannot be decoded ({first_line(error)}): it is truncated or no video; download it again"
        ) from error
    return decoded, rate


def name_of(visuals: Sequence[Any]) -> str:
    """Name what a question is about: files by folder and name, wherever they lie, pictures by their content."""
    names = []
    for visual in visuals:
        if isinstance(visual, Image.Image):
            names.append(hashlib.sha256(visual.tobytes()).hexdigest()[:12])
        else:
            names.append("/".join(Path(str(visual)).parts[-2:]))
    return " ".join(names)


def make_prompt(text: str, visuals: list[Any], frames: int) -> Prompt:
    """Turn what lmms-eval gives a model (pictures and paths of videos) into a prompt.

    Raises
    ------
    WinnowError
        For files that cannot be decoded and kinds of visuals that are not supported.
    """
    videos, rates, images = [], [], []
    for visual in visuals:
        if isinstance(visual, Image.Image):
            images.append(visual.convert("RGB"))
        elif isinstance(visual, str | Path) and Path(visual).suffix.lower() in PICTURES:
            images.append(_open_picture(Path(visual)))
        elif isinstance(visual, str | Path):
            video, rate = sample_video(visual, frames)
            videos.append(video)
            rates.append(rate)
        elif isinstance(visual, dict) and {"video_path", "timestep"} <= set(visual):
            video, rate = sample_video(visual["video_path"], frames, int(visual["timestep"]))
            videos.append(video)
            rates.append(rate)
        else:
            raise WinnowError(
                f"visuals of type {type(visual).__name__} are not supported: only pictures and video files are"
            )
    return Prompt(text, videos, images, rates)


def _open_picture(path: Path) -> Image.Image:
    try:
        return Image.open(path).convert("RGB")
    except OSError as error:
        raise WinnowError(f"picture {path} cannot be read ({first_line(error)}): download it again") from error
