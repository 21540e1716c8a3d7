"""Frames of videos at uniform places, and the prompts that they become part of."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from winnow.harness.common.errors import first_line
from winnow.harness.common.files import cache_folder
from winnow.harness.data.decoders import DECODERS, Decoded, chosen
from winnow.harness.data.decoding import decoder
from winnow.harness.data.framecache import current, key_of
from winnow.harness.data.places import hub_home
from winnow.models.families.prompt import Prompt
from winnow.reducers.core.errors import WinnowError

PICTURES = {".png", ".jpg", ".jpeg", ".webp", ".bmp"}


def decode_video(path: Path | str, frames: int, until: int | None = None) -> np.ndarray:
    """Decode some frames of a video in this process, past every cache.

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
    path = _there(Path(path))
    try:
        return DECODERS[chosen()](path, frames, until)[0]
    except WinnowError:
        raise
    except Exception as error:  # every library raises its own classes
        raise WinnowError(
            f"video {path} cannot be decoded ({first_line(error)}): it is truncated or no video; download it again"
        ) from error


def sample_video(path: Path | str, frames: int, until: int | None = None) -> Decoded:
    """Get some frames of a video, decoded now or before, and say how many of them there are a second.

    Files are decoded in another process with a time-out, and frames are kept on disk; see `decode_video`.
    """
    path = _there(Path(path))
    return _sample(path, path.stat().st_mtime_ns, frames, until)


def forget() -> None:
    """Forget the last video, so that it is read anew."""
    _sample.cache_clear()


@lru_cache(maxsize=1)
def _sample(path: Path, changed: int, frames: int, until: int | None) -> Decoded:
    """Get frames; the last video is remembered, as benchmarks ask several questions in a row about one."""
    cache = current()
    if cache.broken:
        return decoder().decode(path, frames, until)
    key = key_of(path, chosen(), frames, until)
    found = cache.get(key)
    if found is None:
        found = decoder().decode(path, frames, until)
        cache.put(key, found)
    return found


def _there(path: Path) -> Path:
    if not path.is_file():
        raise WinnowError(f"video {path} does not exist: download the benchmark's videos, or mend HF_HOME")
    if path.stat().st_size == 0:
        raise WinnowError(f"video {path} is empty (0 bytes): download it again")
    return path


def name_of(visuals: Sequence[Any]) -> str:
    """Name what a question is about, so that two have one name only if they are about the same.

    Pictures by their content; files by their whole path, below the folders of data wherever those lie, else with a hash
    of the folder, which is nobody's business.
    """
    return " ".join(map(_name, visuals))


def _name(visual: Any) -> str:
    if isinstance(visual, Image.Image):
        content = f"{visual.mode} {visual.size} ".encode() + visual.tobytes()
        return hashlib.sha256(content).hexdigest()[:16]
    path = Path(visual["video_path"] if isinstance(visual, dict) else visual).absolute()
    roots = (hub_home(), cache_folder())
    below = next((path.relative_to(root.absolute()) for root in roots if path.is_relative_to(root.absolute())), None)
    return str(below or f"{hashlib.sha256(str(path.parent).encode()).hexdigest()[:16]}/{path.name}")


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
