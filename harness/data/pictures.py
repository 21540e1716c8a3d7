"""Pictures by path, by row or as folders of frames: whole, upright, in RGB of 8 bits."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

from PIL import Image, ImageFile, ImageOps

from winnow.harness.common.errors import first_line
from winnow.reducers.core.errors import WinnowError

PICTURES = {
    *{".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".jp2", ".webp", ".avif", ".gif", ".tif", ".tiff"},
    *{".bmp", ".dib", ".ppm", ".pgm", ".pbm", ".pnm", ".tga"},
}
MOVING = {".gif", ".webp", ".avif", ".png", ".apng"}
"""Formats that may move; the pages of a TIFF do not."""
DEEP = {"I;16", "I;16B", "I;16L", "I;16N", "I"}
"""Grey of 16 bits, which a plain conversion would clip to white."""


def is_picture(path: Path) -> bool:
    """Whether a file goes to the reader of pictures; one that moves is a video."""
    return path.suffix.lower() in PICTURES and not (path.suffix.lower() in MOVING and _moves(path))


def open_picture(path: Path) -> Image.Image:
    """Read a picture.

    Raises
    ------
    WinnowError
        Names the file: it is missing, broken or cut off.
    """
    if not path.exists():
        raise WinnowError(f"picture {path} does not exist: download the benchmark's pictures, or mend HF_HOME")
    try:
        with strictly():
            return upright(Image.open(path))
    except Exception as error:  # each format has its own classes
        raise WinnowError(f"picture {path} cannot be read ({first_line(error)}): download it again") from error


def whole(picture: Image.Image) -> Image.Image:
    """Take a picture of a row.

    Raises
    ------
    WinnowError
        If it is broken or cut off.
    """
    try:
        with strictly():
            return upright(picture)
    except Exception as error:
        raise WinnowError(f"a picture cannot be read ({first_line(error)}): fetch the benchmark again") from error


def upright(picture: Image.Image) -> Image.Image:
    """Turn a picture as its EXIF orientation says, and make it RGB of 8 bits; floats up to 1 are shares of white."""
    picture.load()
    turned = ImageOps.exif_transpose(picture)
    if turned.mode in DEEP:
        import numpy as np

        values = np.asarray(turned).astype(np.int64)
        scale = 257 if turned.mode != "I" or values.max(initial=0) > 255 else 1
        turned = Image.fromarray((values.clip(0, 65535) // scale).astype(np.uint8))
    if turned.mode == "F":
        import numpy as np

        shares = np.asarray(turned)
        turned = Image.fromarray(np.clip(shares * (255 if shares.max(initial=0) <= 1 else 1), 0, 255).astype(np.uint8))
    return turned.convert("RGB")


def mended(row: dict[str, Any]) -> dict[str, Any]:
    """Scale a row's pictures of more than 8 bits, which the task's own conversion would clip."""
    deep = {name: value for name, value in row.items() if isinstance(value, Image.Image) and value.mode in {*DEEP, "F"}}
    return row | {name: whole(value) for name, value in deep.items()}


class _Strict:
    """How many threads read strictly now, and what to leave behind when none does."""

    lock, depth, before = Lock(), 0, False


@contextmanager
def strictly() -> Iterator[None]:
    """Let a picture that is cut off fail: lmms-eval, once imported, lets its missing part pass as grey."""
    with _Strict.lock:
        if not _Strict.depth:
            _Strict.before, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, False
        _Strict.depth += 1
    try:
        yield
    finally:
        with _Strict.lock:
            _Strict.depth -= 1
            if not _Strict.depth:
                ImageFile.LOAD_TRUNCATED_IMAGES = _Strict.before


def frames_of(folder: Path) -> list[Path]:
    """The pictures of a folder of frames, by the numbers in their names.

    Raises
    ------
    WinnowError
        If it holds none.
    """
    found = [path for path in folder.iterdir() if path.suffix.lower() in PICTURES and not path.name.startswith(".")]
    if not found:
        raise WinnowError(f"folder {folder} holds no pictures: unpack the benchmark's frames again")
    return sorted(found, key=lambda path: [(int(x), "") if x.isdigit() else (-1, x) for x in _parts(path.stem)])


def _parts(name: str) -> list[str]:
    return [part for part in re.split(r"(\d+)", name) if part]


def _moves(path: Path) -> bool:
    try:
        with Image.open(path) as picture:
            return getattr(picture, "n_frames", 1) > 1
    except OSError:
        return False
