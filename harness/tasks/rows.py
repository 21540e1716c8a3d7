"""Rows that lmms-eval would load at once with all their pictures, put together without decoding one."""

from __future__ import annotations

import io
from functools import partial
from itertools import chain, repeat
from typing import Any

from winnow.reducers.core.errors import WinnowError


def with_pictures(path: str) -> dict[str, Any]:
    """Put GQA's pictures beside its questions; lmms-eval would take them from the hub only."""
    return {"process_docs": partial(_with_pictures, path)}


def _with_pictures(path: str, questions: Any) -> Any:
    from datasets import concatenate_datasets, load_dataset
    from lmms_eval.api.task import _resolve_hf_datasets_cache_dir

    pictures = load_dataset(
        path, "testdev_balanced_images", split="testdev", cache_dir=_resolve_hf_datasets_cache_dir()
    )
    place = {name: index for index, name in enumerate(pictures["id"])}
    missing = next((name for name in questions["imageId"] if name not in place), None)
    if missing is not None:
        raise WinnowError(f"GQA has no picture {missing}: fetch lmms-lab-encoder/GQA again")
    chosen = pictures.select([place[name] for name in questions["imageId"]]).select_columns(["image"])
    return concatenate_datasets([questions, chosen], axis=1)


def by_sentence(path: str) -> dict[str, Any]:
    """Make one row of each sentence that describes a box of RefCOCO, the box's corners from 0 to 1."""
    return {"process_docs": _by_sentence}


def _by_sentence(rows: Any) -> Any:
    from datasets import Image

    held = rows.cast_column("image", Image(decode=False))["image"]
    boxes = [_corners(box, _size(picture)) for box, picture in zip(rows["bbox"], held, strict=True)]
    sentences = rows["answer"]
    place = [number for number, said in enumerate(sentences) for _ in said]
    found = rows.remove_columns(["answer", "bbox"]).select(place)
    return found.add_column("answer", list(chain.from_iterable(sentences))).add_column(
        "bbox", list(chain.from_iterable(repeat(box, len(said)) for box, said in zip(boxes, sentences, strict=True)))
    )


def _size(picture: dict[str, Any]) -> tuple[int, int]:
    """Width and height, from the picture's header."""
    from PIL import Image

    with Image.open(io.BytesIO(picture["bytes"]) if picture["bytes"] else picture["path"]) as opened:
        return opened.size


def _corners(box: list[float], size: tuple[int, int]) -> list[float]:
    """From left, top, width and height in pixels."""
    (left, top, wide, tall), (width, height) = box, size
    return [left / width, top / height, (left + wide) / width, (top + tall) / height]
