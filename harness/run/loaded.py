"""What a process keeps from one group of cells to the next: the model and the documents that it loaded last."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Any

import transformers

from winnow.harness.common.folders import locate
from winnow.harness.common.progress import progress
from winnow.harness.common.spent import Spent
from winnow.harness.config.cell import Cell
from winnow.harness.config.schema import MediaConfig, ModelConfig
from winnow.harness.data.document import Document
from winnow.harness.data.documents import Tasks
from winnow.harness.data.hub import commit
from winnow.harness.data.inventory import stamped
from winnow.harness.data.pool import MEGABYTE, Pool, own_cores
from winnow.harness.plan.nominal import llm_shape, model_spec
from winnow.harness.tasks.lmms_eval import quiet
from winnow.models.engine import Reuse, reuse_tower
from winnow.models.families.prompt import Prompt
from winnow.models.loading.load import Loaded, load, load_processor
from winnow.models.loading.spec import ModelSpec
from winnow.reducers.core.errors import WinnowError


class LoadedModel:
    """What a process keeps from one group of cells to the next: the model and the documents that it loaded last.

    The model's vision tower remembers its last output, for all cells and for the next question about the same video.
    """

    def __init__(self) -> None:
        self.towers: list[Reuse] = []
        self.layers = Counter[str]()
        self._model: tuple[ModelConfig, Loaded] | None = None
        self._memory = ExitStack()
        self.spent = Spent()
        self._pools: dict[str, Pool] = {}
        self._tasks: tuple[Any, Tasks, dict[str, list[Document]]] | None = None

    def model(self, wanted: ModelConfig) -> Loaded:
        """Load a model, unless it is there already; the former one goes first."""
        if self._model is None or self._model[0] != wanted:
            self._model = None
            self._memory.close()
            self._model = wanted, load_model(wanted)
            self.towers.append(
                self._memory.enter_context(reuse_tower(self._model[1].model, partial(self.spent.on, "tower")))
            )
        return self._model[1]

    def pool(self, media: MediaConfig) -> Pool:
        """The processes that decode ahead of the model."""
        if repr(media) not in self._pools:
            workers = max(1, own_cores() - 1) if media.workers is None else media.workers
            made = Pool(workers, media.ahead_mb * MEGABYTE, media.accept_damaged, spent=self.spent)
            self._pools[repr(media)] = made
        return self._pools[repr(media)]

    def __enter__(self) -> LoadedModel:
        return self

    def __exit__(self, *error: object) -> None:
        """End the processes that decode, whatever they are at."""
        while self._pools:
            self._pools.popitem()[1].close()

    def tasks(self, cell: Cell) -> tuple[Tasks, dict[str, list[Document]]]:
        """Load the documents of a cell, unless they are there already."""
        if self._tasks is None or self._tasks[0] != (cell.tasks, cell.limit):
            with progress("loading tasks"):
                tasks = Tasks(cell.tasks)
                documents = stamped(tasks, cell.limit)
            self._tasks = (cell.tasks, cell.limit), tasks, documents
        return self._tasks[1:]

    def shared(self) -> str:
        """Say how much work the cells of this process shared."""
        passes, spared = (sum(getattr(tower, name) for tower in self.towers) for name in ("passes", "spared"))
        decoded, found = (sum(column) for column in zip((0, 0), *(p.counts for p in self._pools.values()), strict=True))
        layers = f"; layers of shared prefills: {self.layers['run']}, spared: {self.layers['spared']}"
        return (
            f"videos decoded: {decoded}, found decoded on the disk: {found}; "
            f"passes of the vision tower: {passes}, spared: {spared}{layers if self.layers else ''}\n{self.told()}"
        )

    def told(self) -> str:
        """Say where the time of this process went."""
        return f"where the time went: {self.spent}"


SHAPE = ("num_hidden_layers", "hidden_size", "num_attention_heads", "num_key_value_heads")


def load_model(model: ModelConfig) -> Loaded:
    """Load the model that a YAML describes.

    Raises
    ------
    WinnowError
        If it cannot be loaded, or is of another shape than the YAML says.
    """
    transformers.logging.set_verbosity_error()
    with quiet():
        loaded = load(_pinned(model_spec(model)))
    made: Any = loaded.model
    if note := getattr(made.config, "note", ""):
        print(f"note: {note}", file=sys.stderr)
    config = made.config.get_text_config().to_dict()  # attributes that differ by layer cannot be asked for
    shape = llm_shape(model)
    found = tuple(config[name] for name in SHAPE)
    if found != (shape.layers, shape.hidden, shape.heads, shape.kv_heads):
        raise WinnowError(
            f"model={model.name} has layers, hidden, heads, kv_heads = {found}, unlike its YAML: mend model.arch"
        )
    return loaded


def preparer(model: ModelConfig) -> Callable[[Prompt], object]:
    """What a model's processor does with a prompt, without its weights; says so where it is not the checkpoint's."""
    with quiet():
        processor, family, own = load_processor(_pinned(model_spec(model)))
    if not own:
        print(f"note: {model.repo} is not here: pictures are prepared by its architecture's numbers", file=sys.stderr)
    return lambda prompt: family.encode(processor, [prompt])


def _pinned(spec: ModelSpec) -> ModelSpec:
    """Load the very commit that the run's identity names."""
    if spec.weights != "pretrained" or locate(spec.repo) is not None:
        return spec
    return replace(spec, revision=commit(spec.repo, spec.revision) or spec.revision)
