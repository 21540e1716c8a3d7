"""The documents of lmms-eval tasks: prompt, pictures and generation settings of each, in document order."""

from __future__ import annotations

import copy
import hashlib
import importlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from harness.errors import first_line, root_cause
from harness.folders import locate
from harness.lmms import check_known, prepare, quiet, task_manager
from harness.schema import TasksConfig
from reducers.errors import WinnowError

GENERATION = (
    "max_new_tokens",
    "min_new_tokens",
    "num_beams",
    "length_penalty",
    "repetition_penalty",
    "no_repeat_ngram_size",
)
"""What of a task's generation settings reaches the model; decoding is greedy."""


@dataclass(frozen=True, eq=False)
class Document:
    """One question of a benchmark.

    Attributes
    ----------
    task, doc_id : str, int
    text : str
        The prompt.
    visuals : callable
        Loads its pictures and names its videos.
    generation : dict
        Arguments of ``model.generate``.
    until : tuple of str
        Stop strings.
    relevance : list of float or None
        Per visual token, how much it has to do with the question.
    fingerprint : str
        Hash of the document without its pictures, its prompt and its settings.
    """

    task: str
    doc_id: int
    text: str
    visuals: Callable[[], list[Any]]
    generation: dict[str, Any]
    until: tuple[str, ...]
    relevance: list[float] | None
    fingerprint: str


class Tasks:
    """The tasks of a cell, as lmms-eval knows them.

    Raises
    ------
    WinnowError
        If the folder or a task does not exist.
    """

    def __init__(self, config: TasksConfig) -> None:
        prepare()
        folder = locate(config.folder)
        if folder is None:
            raise WinnowError(f"tasks.folder={config.folder} does not exist: give a folder of lmms-eval task files")
        self.config, self.folder = config, folder
        self.manager = task_manager(folder)
        check_known(config.tasks, self.manager, folder)

    def spec(self, name: str) -> Any:
        """What to give lmms-eval for a task; anew each time, as it takes the dictionary apart."""
        if self.config.prepare is None:
            return name
        module, _, function = self.config.prepare.partition(":")
        try:
            return copy.deepcopy(getattr(importlib.import_module(module), function)(name))
        except (ImportError, AttributeError) as error:
            raise WinnowError(f"tasks.prepare={self.config.prepare} cannot be imported: {first_line(error)}") from error

    def documents(self, name: str, limit: int | None) -> list[Document]:
        """Load the documents of one task.

        Raises
        ------
        WinnowError
            If the task cannot be loaded, is empty, or is of a kind that cannot be run.
        """
        task = self._load(name)
        with quiet():
            task.build_all_requests(limit=limit, rank=0, world_size=1)
        return [self._document(task, instance) for instance in task.instances]

    def _load(self, name: str) -> Any:
        """A fresh Task object: lmms-eval changes them as it goes."""
        try:
            with quiet():
                (task,) = self.manager.load_task_or_group([self.spec(name)]).values()
        except WinnowError:
            raise
        except (Exception, SystemExit) as error:
            cause = root_cause(error)
            if isinstance(cause, IndexError | StopIteration):
                raise WinnowError(f"task '{name}' has no documents: mend its data, or choose another task") from error
            raise WinnowError(f"task '{name}' cannot be loaded: {first_line(cause)}") from error
        if task.OUTPUT_TYPE != "generate_until":
            raise WinnowError(f"task '{name}' is of type {task.OUTPUT_TYPE}: choose one of type generate_until")
        if task.get_config("num_fewshot") is None:
            task.set_config(key="num_fewshot", value=0)
        return task

    def _document(self, task: Any, instance: Any) -> Document:
        text, settings, doc_to_visual, doc_id, name, split = instance.args
        settings = dict(settings) | dict(self.config.generation)
        if settings.get("do_sample"):
            raise WinnowError(
                f"task '{name}' samples its answers: say tasks.generation.do_sample=false for greedy decoding"
            )
        generation = {"max_new_tokens": self.config.max_new_tokens} | {
            k: settings[k] for k in GENERATION if k in settings
        }
        until = settings.get("until") or []
        stops = (until,) if isinstance(until, str) else tuple(until)
        bare = task.dataset_no_image[split][doc_id]

        def visuals() -> list[Any]:
            with quiet():
                return list(doc_to_visual(task.dataset[split][doc_id]) or ())

        print_ = fingerprint(bare, text, generation, stops)
        return Document(name, doc_id, text, visuals, generation, stops, bare.get("relevance"), print_)


def fingerprint(*parts: object) -> str:
    """Hash a document; lmms-eval's own `doc_hash` is the same for every document."""
    text = json.dumps(parts, sort_keys=True, default=str, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
