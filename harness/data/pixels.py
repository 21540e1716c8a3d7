"""What a document shows, by content: the hashes of its pictures and videos."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from winnow.harness.common.content import content_hash


def pixels_of(visuals: Sequence[Any]) -> list[str]:
    """Hash what lmms-eval gives a model: pictures by their pixels, files by their bytes.

    Raises
    ------
    OSError
        If a file cannot be read.
    """
    return [_hash(visual) for visual in visuals]


def file_of(visual: Any) -> Path | None:
    """The file of a visual; None for a picture in memory."""
    named = visual.get("video_path") if isinstance(visual, dict) else visual
    return Path(named) if isinstance(named, str | Path) else None


def _hash(visual: Any) -> str:
    path = file_of(visual)
    if path is None:
        return hashlib.sha256(repr((visual.mode, visual.size)).encode() + visual.tobytes()).hexdigest()
    until = f" until {visual.get('timestep')}" if isinstance(visual, dict) else ""
    return content_hash(path) + until


def columns_of(rows: Any) -> list[str]:
    """The columns of a dataset that hold pictures."""
    from datasets import Image

    return [name for name, kind in rows.features.items() if isinstance(getattr(kind, "feature", kind), Image)]


def undecoded(rows: Any, columns: Sequence[str]) -> Any:
    """A dataset's pictures as the bytes of their files, which takes a thousandth of decoding them."""
    from datasets import Image, Sequence

    found = rows.select_columns(list(columns))
    for name in columns:
        bare = Image(decode=False)
        several = not isinstance(found.features[name], Image)
        found = found.cast_column(name, Sequence(bare) if several else bare)
    return found


def bytes_of(row: Any) -> list[str]:
    """Hash the undecoded pictures of one row."""
    held = [one for value in row.values() for one in (value if isinstance(value, list) else [value])]
    return [_bytes(one) for one in held if one is not None]


def _bytes(picture: dict[str, Any]) -> str:
    held = picture["bytes"]
    return hashlib.sha256(held).hexdigest() if held else content_hash(Path(picture["path"]))
