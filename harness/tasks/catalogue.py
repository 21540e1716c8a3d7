"""Every benchmark of the papers by its lmms-eval name, and what to give lmms-eval to load it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from winnow.harness.common.folders import PACKAGE, locate
from winnow.harness.tasks import zero_shot_qa
from winnow.harness.tasks.benchmark import Benchmark
from winnow.harness.tasks.images import IMAGES
from winnow.harness.tasks.videos import MVBENCH, VIDEOS
from winnow.reducers.core.errors import WinnowError

BENCHMARKS: dict[str, Benchmark] = {benchmark.task: benchmark for benchmark in (*VIDEOS, *IMAGES)}

MEANS: dict[str, tuple[str, ...]] = {
    "mvbench": tuple(f"mvbench_{kind}" for kind in MVBENCH),
    "pope_splits": ("pope_adv", "pope_pop", "pope_random"),
}
"""Figures that are the mean of several tasks' figures."""


def folder_of(benchmark: Benchmark) -> Path:
    """Find the folder of a benchmark's task files: one of ours, or one of lmms-eval's; does not import lmms-eval."""
    if benchmark.family.startswith(PACKAGE):
        found = locate(benchmark.family)
    else:
        spec = find_spec("lmms_eval")
        places = list(spec.submodule_search_locations or ()) if spec else []
        found = next((Path(place) / "tasks" / benchmark.family for place in places), None)
    if found is None or not found.is_dir():
        raise WinnowError(f"lmms-eval has no folder for task '{benchmark.task}': install lmms-eval 0.7.3")
    return found


def override(name: str, copy: Path | None) -> dict[str, Any]:
    """Say what lmms-eval needs to load a task.

    Parameters
    ----------
    name : str
    copy : Path or None
        Folder that holds a copy of the task's dataset; None: the hub.
    """
    benchmark = BENCHMARKS[name]
    if not benchmark.repo:
        return zero_shot_qa.override(name)
    found: dict[str, Any] = {"task": name}
    if copy is not None:
        found["dataset_path"] = str(copy)
    if name == "gqa":
        found["process_docs"] = join_pictures(found.get("dataset_path", benchmark.repo))
    return found


def join_pictures(path: str) -> Callable[[Any], Any]:
    """Put GQA's pictures beside its questions, undecoded; lmms-eval would decode all of them, from the hub only."""
    return partial(_join_pictures, path)


def _join_pictures(path: str, questions: Any) -> Any:
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
