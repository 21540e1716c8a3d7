"""Every benchmark by its lmms-eval name, and what to give lmms-eval to load it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from winnow.harness.common.folders import PACKAGE, locate
from winnow.harness.tasks.benchmark import Benchmark
from winnow.harness.tasks.grounding import GROUNDING
from winnow.harness.tasks.hallucination import HALLUCINATION
from winnow.harness.tasks.images import IMAGES
from winnow.harness.tasks.lite import LITE
from winnow.harness.tasks.reading import READING
from winnow.harness.tasks.reasoning import REASONING
from winnow.harness.tasks.temporal import TEMPORAL
from winnow.harness.tasks.videos import MVBENCH, VIDEOS
from winnow.reducers.core.errors import WinnowError

ALL = (*VIDEOS, *IMAGES, *READING, *GROUNDING, *REASONING, *TEMPORAL, *HALLUCINATION, *LITE)
BENCHMARKS: dict[str, Benchmark] = {benchmark.task: benchmark for benchmark in ALL}

MEANS: dict[str, tuple[str, ...]] = {
    "mvbench": tuple(f"mvbench_{kind}" for kind in MVBENCH),
    "pope_splits": ("pope_adv", "pope_pop", "pope_random"),
    "tempcompass": ("tempcompass_multi_choice", "tempcompass_yes_no", "tempcompass_caption_matching"),
    "video_mmmu": ("video_mmmu_perception", "video_mmmu_comprehension", "video_mmmu_adaptation"),
    "ovobench": ("ovo_backward", "ovo_realtime", "ovo_forward_rounds"),
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
    found: dict[str, Any] = {"task": name} | ({} if copy is None else {"dataset_path": str(copy)})
    return found | (benchmark.adapt(found.get("dataset_path", benchmark.repo)) if benchmark.adapt else {})
