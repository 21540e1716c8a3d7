"""Write the pico benchmark to disk: real mp4 and PNG files and one parquet file per task.

The files follow from the seeds below alone. lmms-eval reads the parquet files; load a task as

    tasks = TaskManager("WARNING", include_defaults=False, include_path=[str(TASKS)])
    simple_evaluate(model=..., tasks=[override("pico_video")], task_manager=tasks)
"""

import os
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from winnow.harness.common import files
from winnow.models.pico.questions import (
    IMAGE_TYPES,
    VIDEO_TYPES,
    Question,
    ask,
    balanced_count,
    fewest_things,
    relevance,
)
from winnow.models.pico.world import FRAMES, SPLITS, generator, render, sample_scene

TASKS = Path(__file__).parent
VERSION = "1"
SIZE = 300
_SEEDS = {"video": 271828, "image": 314159}
_TYPES = {"video": VIDEO_TYPES, "image": IMAGE_TYPES}
_FRAMES = {"video": FRAMES, "image": 1}
_RATE = 4


def root(cache_dir: Path | str | None = None) -> Path:
    """Return the folder of this version: below `cache_dir`, else below the cache of this process."""
    cache = Path(cache_dir).expanduser() if cache_dir else files.cache_folder()
    return cache.absolute() / "pico" / VERSION


def ensure(cache_dir: Path | str | None = None) -> Path:
    """Write the benchmark unless it is there already.

    Safe under several processes: each writes a folder of its own and the first to finish gives it its name.

    Parameters
    ----------
    cache_dir
        Where to write; when given it becomes this process's `$WINNOW_CACHE`, so that the tasks find their media.

    Returns
    -------
    pathlib.Path
        Folder of `<task>.parquet` and the media.
    """
    if cache_dir is not None:
        os.environ["WINNOW_CACHE"] = str(cache_dir)
    folder = root()
    files.write_folder(folder, _write)
    return folder


def _write(draft: Path) -> None:
    for medium in _SEEDS:
        for split in SPLITS:
            write_task(draft, medium, split)


def task_name(medium: str, split: str) -> str:
    """Return `pico_video`, `pico_image` for the test split, with the split's name appended for others."""
    return f"pico_{medium}" if split == "test" else f"pico_{medium}_{split}"


def override(task: str) -> dict[str, Any]:
    """Return what lmms-eval needs to load a task: its name and where its rows lie.

    Writes the benchmark first if need be. lmms-eval builds simple tasks from such dictionaries; for chat models pass
    it through `TaskManager.load_task_or_group([override(task)], "chat")` and give the values as tasks.
    """
    split = "dev" if task.endswith("_dev") else "test"
    rows = ensure() / f"{task}.parquet"
    if not rows.exists():
        known = ", ".join(sorted(path.stem for path in TASKS.glob("*.yaml")))
        raise ValueError(f"unknown pico task {task!r}; known are {known}")
    return {"task": task, "dataset_kwargs": {"data_files": {split: str(rows)}}}


def write_task(folder: Path, medium: str, split: str, size: int = SIZE) -> Path:
    """Write media and rows of one task.

    Parameters
    ----------
    folder
        Where to write.
    medium
        "video" or "image".
    split
        "test" or "dev".
    size
        Number of questions; types take turns.

    Returns
    -------
    pathlib.Path
        The parquet file. Column `relevance` holds, per visual token (frames x rows x columns), how many pixels of the
        things that the answer depends on it covers.
    """
    media = folder / medium / split
    media.mkdir(parents=True)
    rows = []
    for index in range(size):
        question, frames, marks = draw_item(medium, split, index)
        name = media / f"{index:04d}.{'mp4' if medium == 'video' else 'png'}"
        if medium == "video":
            write_video(name, frames)
        else:
            Image.fromarray(frames[0]).save(name)
        rows.append(
            {
                "id": f"{medium}-{split}-{index:04d}",
                medium: str(name.relative_to(folder)),
                "question": question.text,
                "answer": question.answer,
                "type": question.type,
                "relevance": marks,
            }
        )
    path = folder / f"{task_name(medium, split)}.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def draw_item(medium: str, split: str, index: int) -> tuple[Question, NDArray[np.uint8], list[int]]:
    """Draw one question with its frames.

    Returns
    -------
    question : Question
        Of type number `index` modulo the number of types.
    frames : numpy.ndarray
        RGB, shape (frames, height, width, 3), uint8.
    relevance : list of int
        One number per visual token.
    """
    rng = generator(_SEEDS[medium], split, index)
    types = _TYPES[medium]
    kind = types[index % len(types)]
    turn = index // len(types)
    count = balanced_count(turn, kind) if kind == "count" else None
    scene = sample_scene(rng, _FRAMES[medium], count)
    while len(scene) < fewest_things(kind):
        scene = sample_scene(rng, _FRAMES[medium])
    question = ask(rng, scene, kind, present=turn % 2 == 0)
    frames, coverage = render(rng, scene, _FRAMES[medium])
    return question, frames, relevance(coverage, question.targets)


def write_video(path: Path, frames: NDArray[np.uint8]) -> None:
    """Write RGB frames (frames, height, width, 3) as H.264 at high quality with full chroma."""
    with av.open(str(path), "w") as container:
        options = {"crf": "10", "preset": "veryfast", "threads": "1"}
        stream = container.add_stream("libx264", rate=_RATE, options=options)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv444p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
