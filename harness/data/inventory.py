"""What the documents of tasks are, by content: all that reaches the model, and all that scoring reads, apart.

Loading documents takes seconds, so that the answer is kept below the cache, with the content of every file that it
rests on; it holds as long as none of them changes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from glob import glob
from pathlib import Path
from typing import Any

from winnow.harness.common import files
from winnow.harness.common.content import content_hash
from winnow.harness.common.folders import locate
from winnow.harness.common.sources import content_files, digest, files_below, fingerprint, version
from winnow.harness.config.schema import TasksConfig
from winnow.harness.data.document import Document, print_of
from winnow.harness.data.documents import Tasks
from winnow.harness.data.needs import asked_revision, cached, held_revision
from winnow.harness.data.opened import opened, own_files
from winnow.harness.data.pixels import bytes_of, columns_of, file_of, pixels_of, undecoded
from winnow.harness.data.places import data_of, hub_home
from winnow.harness.tasks.catalogue import BENCHMARKS, folder_of
from winnow.reducers.core.errors import WinnowError

ABSENT = "absent"
LIBRARIES = ("lmms-eval", "datasets", "pyarrow")
HUB = "hub:"
"""Marks what lies in the hub's cache, and is known by its commit."""


@dataclass(frozen=True)
class Inventory:
    """The documents of some tasks.

    Attributes
    ----------
    prints : dict
        Per task, in document order, a hash of all of a document that reaches the model: prompt, pixels, settings.
    labels : dict
        Per task, a hash of the rows, labels among them.
    uses : dict
        Files that this rests on, with the hash of their content.
    whole : bool
        Whether every picture and video is there.
    videos : bool
        Whether any document shows a video.
    """

    prints: dict[str, list[str]]
    labels: dict[str, str]
    uses: dict[str, str]
    whole: bool
    videos: bool


def inventory(tasks: TasksConfig, limit: int | None, fetch: bool = False) -> Inventory | None:
    """Take stock of the documents of tasks; None where their rows are not on this machine.

    Parameters
    ----------
    tasks : TasksConfig
    limit : int or None
        Documents of each task.
    fetch : bool
        Let rows come from the hub.

    Raises
    ------
    WinnowError
        If there are no such tasks, or their documents cannot be loaded.
    """
    if not fetch and not _here(tasks):
        return None
    place = files.cache_folder() / "documents" / f"{_stamp(tasks, limit)}.json"
    found = _kept(place)
    if found is None:
        found = _take(tasks, limit)
        if found.whole:
            with suppress(OSError):
                files.write_json(place, asdict(found))
    return found


def stamped(tasks: Tasks, limit: int | None) -> dict[str, list[Document]]:
    """Load documents, each with the fingerprint of all that reaches the model.

    Raises
    ------
    WinnowError
        If they are others than those that were just looked at.
    """
    found = inventory(tasks.config, limit, fetch=True)
    documents = {name: tasks.documents(name, limit) for name in tasks.config.tasks}
    if found is None or any(len(found.prints[name]) != len(documents[name]) for name in documents):
        raise WinnowError("the documents changed while they were loaded: run the same command again")
    return {
        name: [replace(one, fingerprint=print_) for one, print_ in zip(listed, found.prints[name], strict=True)]
        for name, listed in documents.items()
    }


def _here(tasks: TasksConfig) -> bool:
    """Whether the rows of benchmarks from the hub are in its cache."""
    if tasks.folder is not None or data_of(tasks.data).mirror is not None:
        return True
    known = [BENCHMARKS[name] for name in tasks.tasks if name in BENCHMARKS]
    home = hub_home()
    data = data_of(tasks.data)
    return all(
        data.copy_of(one.repo) is not None or cached(one.repo).is_dir()
        if one.repo
        else (home / one.questions).is_file()
        for one in known
    )


def _stamp(tasks: TasksConfig, limit: int | None) -> str:
    """Name what the documents are made from, as far as that can be told without loading them."""
    data = data_of(tasks.data)
    modules = ["winnow.harness.data.documents", "winnow.harness.data.inventory"]
    modules += [tasks.prepare.partition(":")[0]] if tasks.prepare else []
    known = [] if tasks.folder is not None else [BENCHMARKS[name] for name in tasks.tasks if name in BENCHMARKS]
    folders = [locate(tasks.folder)] if tasks.folder is not None else [folder_of(benchmark) for benchmark in known]
    rows = {one.repo: asked_revision(one) or held_revision(cached(one.repo)) for one in known if one.repo}
    rows |= {repo: content_files(copy) for repo in rows if (copy := data.copy_of(repo)) is not None}
    return digest(
        (
            sorted(asdict(tasks).items(), key=str),
            limit,
            str(data.place),
            str(files.cache_folder().absolute()),
            [content_files(folder) for folder in dict.fromkeys(folders) if folder],
            sorted(rows.items()),
            fingerprint(modules, follow=("winnow.harness.data", "winnow.harness.tasks")),
            [version(name) for name in LIBRARIES],
        )
    )


def _kept(place: Path) -> Inventory | None:
    """What was found before, if every file that it rests on is as it was."""
    with suppress(OSError, ValueError, TypeError):
        found = Inventory(**json.loads(place.read_text(encoding="utf-8")))
        if all(_content(name) == content for name, content in found.uses.items()):
            return found
    return None


def _content(name: str) -> str:
    if name.startswith(HUB):
        return held_revision(cached(name.removeprefix(HUB)))
    try:
        return content_hash(Path(name))
    except OSError:
        return ""


def _take(tasks: TasksConfig, limit: int | None) -> Inventory:
    """Load every document once."""
    prints: dict[str, list[str]] = {}
    labels: dict[str, str] = {}
    sources: set[str] = set()
    stock = _Stock(set())
    with opened() as names:
        loaded = Tasks(tasks)
        for name in tasks.tasks:
            documents = loaded.documents(name, limit)
            task = loaded.load(name)
            prints[name] = stock.prints(documents, task)
            labels[name] = digest([sorted(one.row.items(), key=str) for one in documents])
            sources |= set(_sources(task))
    sources |= {str(path) for path in own_files(names, _caches()) | stock.videos}
    uses = {name: _content(name) for name in sorted(sources)}
    return Inventory(prints, labels, uses, stock.whole, bool(stock.videos))


@dataclass
class _Stock:
    """What was met on the way through the documents: files of videos, and whether anything was missing."""

    videos: set[Path]
    whole: bool = True

    def prints(self, documents: list[Document], task: Any) -> list[str]:
        if not documents:
            return []
        rows = task.dataset[documents[0].split]
        columns = columns_of(rows)
        if columns and all(file_of(visual) is None for visual in documents[0].visuals()):
            held = undecoded(rows, columns)
            return [print_of(one, bytes_of(held[one.doc_id])) for one in documents]
        return [print_of(one, self._pixels(one)) for one in documents]

    def _pixels(self, document: Document) -> list[str]:
        """Hash what a document shows; what is missing fails when it is answered, and is looked for again each time."""
        try:
            visuals = document.visuals()
            found = pixels_of(visuals)
        except (Exception, SystemExit):
            self.whole = False
            return [ABSENT]
        self.videos |= {path.absolute() for path in map(file_of, visuals) if path is not None}
        return found


def _sources(task: Any) -> Iterator[str]:
    """Where a task's rows come from: files and folders that its settings name, or a repository in the hub's cache."""
    path, settings = str(task.DATASET_PATH or ""), task.get_config("dataset_kwargs") or {}
    named = settings.get("data_files") or ()
    listed = [named] if isinstance(named, str) else list(named.values() if isinstance(named, dict) else named)
    flat = [str(one) for group in listed for one in (group if isinstance(group, list | tuple) else [group])]
    for one in [*flat, str(settings.get("data_dir") or ""), path]:
        if one and Path(one).is_dir():
            yield from map(str, files_below(Path(one).absolute()))
        elif one:
            yield from (str(Path(found).absolute()) for found in glob(one, recursive=True))  # noqa: PTH207
    if path.count("/") == 1 and not Path(path).exists():
        yield f"{HUB}{path}"


def _caches() -> tuple[Path, ...]:
    """Folders of what can be made again, which is no source."""
    from datasets import config

    own = tuple(files.cache_folder() / name for name in ("content", "documents", "frames"))
    hub = Path(os.environ.get("HF_HUB_CACHE") or hub_home() / "hub")
    return (*own, hub, Path(config.HF_DATASETS_CACHE), Path(config.HF_MODULES_CACHE))
