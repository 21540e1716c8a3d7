"""What runs of pico in this process load alike: the checkpoint, and lmms-eval's index of the tasks."""

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from winnow.harness.tasks import lmms_eval
from winnow.models.loading import load as loading
from winnow.models.loading.load import Loaded
from winnow.models.loading.pretrained import PACKAGE
from winnow.models.loading.spec import ModelSpec

ROOT = Path(__file__).resolve().parents[2]
MODELS: dict[str, Loaded] = {}
INDICES: dict[str, Any] = {}


def load(spec: ModelSpec) -> Loaded:
    """The model of a run is its own: a copy of one that nothing was ever done with."""
    if spec.weights != "pretrained" or not spec.repo.startswith(PACKAGE):
        return loading.load(spec)
    if repr(spec) not in MODELS:
        MODELS[repr(spec)] = loading.load(spec)
    kept = MODELS[repr(spec)]
    return replace(kept, model=copy.deepcopy(kept.model))


def task_manager(folders: Sequence[Path], prompt: str | None = None) -> Any:
    """Of folders that no test changes."""
    if any(ROOT not in folder.resolve().parents for folder in folders):
        return lmms_eval.task_manager(folders, prompt)
    asked = repr((folders, prompt))
    if asked not in INDICES:
        INDICES[asked] = lmms_eval.task_manager(folders, prompt)
    return INDICES[asked]
