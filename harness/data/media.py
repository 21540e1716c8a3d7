"""Frames of videos at uniform places, and the prompts that they become part of."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from winnow.harness.common.files import cache_folder
from winnow.harness.data.decoders import chosen, read
from winnow.harness.data.decoding import decoder
from winnow.harness.data.pictures import frames_of, is_picture, open_picture, whole
from winnow.harness.data.places import hub_home
from winnow.harness.data.video.clip import Clip, rate_of, wanted
from winnow.models.families.prompt import SAMPLED, Prompt
from winnow.reducers.core.errors import WinnowError

Sample = Callable[[Path, int, int | None], Clip]
"""Gets some frames of a video: path, how many, the last frame to look at."""


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
    return read(there(Path(path)), frames, until, chosen()).frames


def sample_video(path: Path | str, frames: int, until: int | None = None) -> Clip:
    """Get some frames of a video, decoded now or before, with their times.

    Files are decoded in another process with a time-out, and frames are kept on disk; see `decode_video`.
    """
    path = there(Path(path))
    return _sample(path, path.stat().st_mtime_ns, frames, until)


def forget() -> None:
    """Forget the last video, so that it is read anew."""
    _sample.cache_clear()


@lru_cache(maxsize=1)
def _sample(path: Path, changed: int, frames: int, until: int | None) -> Clip:
    """Get frames; the last video is remembered, as benchmarks ask several questions in a row about one."""
    return decoder().decode(path, frames, until)


def there(path: Path) -> Path:
    """Give back the path of a video that is there.

    Raises
    ------
    WinnowError
        If it is missing or empty.
    """
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


def videos_of(visuals: Sequence[Any]) -> Iterator[tuple[Path, int | None]]:
    """The video files among what a question shows, with the last frame to look at."""
    for visual in visuals:
        if isinstance(visual, dict) and {"video_path", "timestep"} <= set(visual):
            yield Path(visual["video_path"]), int(visual["timestep"])
        elif isinstance(visual, str | Path) and not Path(visual).is_dir() and not is_picture(Path(visual)):
            yield Path(visual), None


def make_prompt(text: str, visuals: Sequence[Any], frames: int, sample: Sample = sample_video) -> Prompt:
    """Turn what lmms-eval gives a model (pictures, paths of videos, folders of frames) into a prompt.

    Raises
    ------
    WinnowError
        For files that cannot be decoded and kinds of visuals that are not supported.
    """
    clips, images = list[Clip](), list[Image.Image]()
    for visual in visuals:
        videos = list(videos_of([visual]))
        if videos:
            clips += [sample(path, frames, until) for path, until in videos]
        elif isinstance(visual, Image.Image):
            images.append(whole(visual))
        elif isinstance(visual, str | Path) and Path(visual).is_dir():
            clips.append(sample_folder(Path(visual), frames))
        elif isinstance(visual, str | Path):
            images.append(open_picture(Path(visual)))
        else:
            raise WinnowError(
                f"visuals of type {type(visual).__name__} are not supported: only pictures and video files are"
            )
    return Prompt(text, [clip.frames for clip in clips], images, [clip.rate for clip in clips])


def sample_folder(folder: Path, frames: int) -> Clip:
    """Get some of the frames that lie in a folder as pictures, as TVQA's do; a name such as ``fps3`` tells their rate.

    Raises
    ------
    WinnowError
        If there are none, or one cannot be read.
    """
    found = frames_of(folder)
    indices = wanted(len(found), frames, None)
    pictures = [open_picture(found[index]) for index in indices]
    size = pictures[0].size
    told = re.search(r"fps(\d+)", str(folder))
    fps = float(told.group(1)) if told else SAMPLED
    seconds = [index / fps for index in indices]
    pixels = np.stack([np.asarray(picture if picture.size == size else picture.resize(size)) for picture in pictures])
    return Clip(pixels, indices, seconds, rate_of(seconds, len(found) / fps), "pictures")
