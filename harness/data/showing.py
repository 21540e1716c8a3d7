"""What a run would see of one file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from winnow import configs
from winnow.harness.data.decoders import chosen, read
from winnow.harness.data.media import sample_folder, there
from winnow.harness.data.pictures import is_picture, open_picture
from winnow.reducers.core.errors import WinnowError

FRAMES = 8


@dataclass(frozen=True, eq=False)
class Shown:
    """Pictures, and what is told of them.

    Attributes
    ----------
    pixels : sequence of ndarray
        RGB, each ``(height, width, 3)``, uint8, in order.
    facts : dict
        ``file``, ``frames`` (index and seconds of each), ``reader``, ``rate`` (frames a second), ``damage`` and
        ``failed``, the reason if there are no frames.
    """

    pixels: Sequence[np.ndarray]
    facts: dict[str, Any]


def shown(path: Path, frames: int, accept: bool) -> Shown:
    """Read a file as a run would, past the cache; what fails is told, not raised.

    Raises
    ------
    WinnowError
        If there is no such file.
    """
    if not path.is_file() and not path.is_dir():
        what = "is no file" if path.exists() else "does not exist"
        raise WinnowError(f"{path} {what}: give a video, a picture or a folder of frames")
    facts: dict[str, Any] = {"file": str(path), "frames": [], "reader": "", "rate": None, "damage": "", "failed": ""}
    try:
        if path.is_file() and is_picture(path):
            pixels: Sequence[np.ndarray] = [np.asarray(open_picture(path))]
            return Shown(pixels, facts | {"frames": [{"index": 0, "seconds": 0.0}], "reader": "picture"})
        clip = sample_folder(path, frames) if path.is_dir() else read(there(path), frames, None, chosen(), accept)
    except WinnowError as error:
        return Shown([], facts | {"failed": str(error)})
    places = [{"index": i, "seconds": round(s, 6)} for i, s in zip(clip.indices, clip.seconds, strict=True)]
    told = {"frames": places, "reader": clip.reader, "rate": clip.rate, "damage": clip.damage}
    return Shown(list(clip.frames), facts | told)


def number_of(model: str | None, frames: int | None) -> int:
    """How many frames: as asked, else those of a model, else 8.

    Raises
    ------
    WinnowError
        If there is no such model.
    """
    if model is None:
        return frames or FRAMES
    path = configs.FOLDER / "model" / f"{model}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(found.stem for found in path.parent.glob("*.yaml")))
        raise WinnowError(f"unknown model '{model}': choose {known}")
    return frames or int(yaml.safe_load(path.read_text()).get("frames") or FRAMES)
