"""Write the pico benchmark to disk: real mp4 and PNG files and one parquet file per task.

The files follow from the seeds of `winnow.models.pico.items` alone. Videos and pictures are written at once, the other
topics when a task asks for them. lmms-eval reads the parquet files; load a task as

    tasks = TaskManager("WARNING", include_defaults=False, include_path=[str(TASKS)])
    simple_evaluate(model=..., tasks=[override("pico_video")], task_manager=tasks)
"""

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from winnow.harness.common import files
from winnow.models.pico.items import MEDIA, SEEDS, SIZE, draw_item
from winnow.models.pico.questions import relevance
from winnow.models.pico.world import SPLITS

TASKS = Path(__file__).parent
VERSION = "2"
FIRST = ("video", "image")
_RATE = {"video": 4, "film": 8}


def root(cache_dir: Path | str | None = None) -> Path:
    """Return the folder of this version: below `cache_dir`, else below the cache of this process."""
    cache = Path(cache_dir).expanduser() if cache_dir else files.cache_folder()
    return cache.absolute() / "pico" / VERSION


def ensure(cache_dir: Path | str | None = None, topics: Sequence[str] = FIRST) -> Path:
    """Write the benchmark unless it is there already.

    Safe under several processes: each writes a folder of its own and the first to finish gives it its name.

    Parameters
    ----------
    cache_dir
        Where to write; when given it becomes this process's `$WINNOW_CACHE`, so that the tasks find their media.
    topics
        Which of its topics.

    Returns
    -------
    pathlib.Path
        Folder that holds one folder per topic, with `<split>.parquet` and the media.
    """
    if cache_dir is not None:
        os.environ["WINNOW_CACHE"] = str(cache_dir)
    for topic in topics:
        files.write_folder(root() / topic, partial(write_topic, topic=topic))
    return root()


def write_topic(folder: Path, topic: str) -> None:
    """Write all splits of a topic."""
    for split in SPLITS:
        write_split(folder, topic, split)


def task_name(topic: str, split: str) -> str:
    """Return `pico_video`, `pico_image` for the test split, with the split's name appended for others."""
    return f"pico_{topic}" if split == "test" else f"pico_{topic}_{split}"


def override(task: str) -> dict[str, Any]:
    """Return what lmms-eval needs to load a task: its name and where its rows lie.

    Writes the benchmark first if need be. lmms-eval builds simple tasks from such dictionaries; for chat models pass
    it through `TaskManager.load_task_or_group([override(task)], "chat")` and give the values as tasks.
    """
    known = {task_name(topic, split): (topic, split) for topic in SEEDS for split in SPLITS}
    if task not in known:
        raise ValueError(f"unknown pico task {task!r}; known are {', '.join(sorted(known))}")
    topic, split = known[task]
    rows = ensure(topics=[topic]) / topic / f"{split}.parquet"
    return {"task": task, "dataset_kwargs": {"data_files": {split: str(rows)}}}


def write_split(folder: Path, topic: str, split: str, size: int = SIZE) -> Path:
    """Write media and rows of one split of a topic.

    Parameters
    ----------
    folder
        Where to write.
    topic
        A key of `SEEDS`.
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
    (folder / split).mkdir(parents=True)
    image = MEDIA[topic] == "image"
    rows = []
    for index in range(size):
        rng, shot, question = draw_item(topic, split, index)
        frames, coverage = shot.render(rng)
        name = f"{split}/{index // 2 * 2 if topic == 'second' else index:04d}.{'png' if image else 'mp4'}"
        if image:
            Image.fromarray(frames[0]).save(folder / name)
        elif not (folder / name).exists():
            write_video(folder / name, frames, _RATE[MEDIA[topic]])
        rows.append(
            {
                "id": f"{topic}-{split}-{index:04d}",
                "image" if image else "video": f"{topic}/{name}",
                "question": question.text,
                "answer": question.answer,
                "type": question.type,
                "relevance": relevance(coverage, question.targets),
            }
        )
    path = folder / f"{split}.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def write_video(path: Path, frames: NDArray[np.uint8], rate: int = 4) -> None:
    """Write RGB frames (frames, height, width, 3) as H.264 at high quality with full chroma."""
    with av.open(str(path), "w") as container:
        options = {"crf": "10", "preset": "veryfast", "threads": "1"}
        stream = container.add_stream("libx264", rate=rate, options=options)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv444p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
