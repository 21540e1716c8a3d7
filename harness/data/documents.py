"""The documents of lmms-eval tasks, in document order."""

from __future__ import annotations

import copy
import importlib
from dataclasses import replace
from pathlib import Path
from typing import Any

from winnow.harness.common.errors import first_line, root_cause
from winnow.harness.common.folders import locate
from winnow.harness.config.schema import TasksConfig
from winnow.harness.data.document import Document, capped, check_generation, greedy, longest, options_of, print_of
from winnow.harness.data.hub import unreachable
from winnow.harness.data.pictures import mended, strictly
from winnow.harness.data.places import data_of
from winnow.harness.tasks.benchmark import Benchmark
from winnow.harness.tasks.catalogue import BENCHMARKS, folder_of, override
from winnow.harness.tasks.lmms_eval import check_known, prepare, quiet, task_manager
from winnow.harness.tasks.validate import validate
from winnow.reducers.core.errors import WinnowError, choose


class Tasks:
    """The tasks of a cell, as lmms-eval knows them.

    Raises
    ------
    WinnowError
        If the folder or a task does not exist.
    """

    def __init__(self, config: TasksConfig) -> None:
        prepare()
        check_generation(config.generation)
        self.config, self.data = config, data_of(config.data)
        folders = _folders(config)
        self.manager = task_manager(folders, config.prompt)
        check_known(config.tasks, self.manager, folders)
        self._loaded: dict[str, Any] = {}

    def benchmark(self, name: str) -> Benchmark | None:
        """What is known of a task beyond lmms-eval; None for tasks of a folder of their own."""
        return BENCHMARKS.get(name) if self.config.folder is None else None

    def spec(self, name: str) -> Any:
        """What to give lmms-eval for a task; anew each time, as it takes the dictionary apart."""
        if benchmark := self.benchmark(name):
            return override(name, self.data.copy_of(benchmark.repo) if benchmark.repo else None)
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
        task = self.load(name)
        with quiet(), self.data.home():
            task.build_all_requests(limit=limit, rank=0, world_size=1)
        return [self._document(task, instance) for instance in task.instances]

    def load(self, name: str) -> Any:
        """Load a task, its rows and what it knows of scoring; the same object every time."""
        if name not in self._loaded:
            self._loaded[name] = self._load(name)
        return self._loaded[name]

    def _load(self, name: str) -> Any:
        benchmark = self.benchmark(name)
        try:
            with quiet(), self.data.home():
                (task,) = self.manager.load_task_or_group([self.spec(name)]).values()
        except WinnowError:
            raise
        except (Exception, SystemExit) as error:
            cause = root_cause(error)
            if isinstance(cause, WinnowError):
                raise cause from error
            if isinstance(cause, IndexError | StopIteration):
                raise WinnowError(f"task '{name}' has no documents: mend its data, or choose another task") from error
            if benchmark and unreachable(error):
                raise WinnowError(
                    f"task '{name}' needs the dataset {benchmark.repo}, which is not in {self.data.place} and the hub "
                    f"cannot be reached: run `winnow data fetch {name}` where there is a network"
                ) from error
            raise WinnowError(f"task '{name}' cannot be loaded: {first_line(cause)}") from error
        if task.OUTPUT_TYPE != "generate_until":
            raise WinnowError(f"task '{name}' is of type {task.OUTPUT_TYPE}: choose one of type generate_until")
        if task.get_config("num_fewshot") is None:
            task.set_config(key="num_fewshot", value=0)
        if benchmark:
            validate(benchmark, task.dataset_no_image[benchmark.split])
        return task

    def _document(self, task: Any, instance: Any) -> Document:
        text, settings, doc_to_visual, doc_id, name, split = instance.args
        generation, stops = greedy(
            name,
            capped(self.benchmark(name), settings) | dict(self.config.generation),
            self.config.max_new_tokens or longest(self.benchmark(name)),
        )
        bare = task.dataset_no_image[split][doc_id]

        def visuals() -> list[Any]:
            with quiet(), self.data.home(), strictly():
                return list(doc_to_visual(mended(task.dataset[split][doc_id])) or ())

        relevance = bare.get("relevance")
        more = {"row": bare, "split": split, "options": options_of(self.benchmark(name), bare)}
        made = Document(name, doc_id, text, visuals, generation, stops, relevance, "", **more)
        return replace(made, fingerprint=print_of(made, ()))


def _folders(config: TasksConfig) -> list[Path]:
    """Where the files of the tasks lie: in one folder, or beside lmms-eval's own where they are known benchmarks."""
    if config.folder is not None:
        folder = locate(config.folder)
        if folder is None:
            raise WinnowError(f"tasks.folder={config.folder} does not exist: give a folder of lmms-eval task files")
        return [folder]
    unknown = next((name for name in config.tasks if name not in BENCHMARKS), None)
    if unknown:
        raise WinnowError(f"unknown task '{unknown}': {choose(unknown, sorted(BENCHMARKS))}, or say tasks.folder=…")
    return sorted({folder_of(BENCHMARKS[name]) for name in config.tasks})
