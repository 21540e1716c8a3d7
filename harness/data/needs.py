"""What the data of tasks are, where they lie, and whether they are complete; needs no network."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from winnow.harness.config.choices import listed, options
from winnow.harness.data.places import Data
from winnow.harness.data.sizes import SIZES
from winnow.harness.tasks.benchmark import Benchmark
from winnow.harness.tasks.catalogue import BENCHMARKS, folder_of
from winnow.reducers.core.errors import WinnowError, choose

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Need:
    """The data of one task.

    Attributes
    ----------
    benchmark : Benchmark
    dataset : str
        Repository with configuration and split, or where else it comes from.
    revision : str
        What lmms-eval asks for, else what the cache holds, else unknown.
    gigabytes : str
        With a source, else unknown.
    rows, media : Path or None
        Where questions and videos lie, or will.
    """

    benchmark: Benchmark
    dataset: str
    revision: str
    gigabytes: str
    rows: Path
    media: Path | None

    @property
    def state(self) -> str:
        """What is there; whether it is complete only `winnow data check` can tell."""
        missing = [
            name
            for name, path in (("questions", self.rows), ("videos", self.media))
            if path is not None and not path.exists()
        ]
        return f"no {' and no '.join(missing)}" if missing else "there"


def names_of(choices: Sequence[str]) -> list[str]:
    """Turn what ``tasks=`` takes, or lmms-eval's names, into the tasks of benchmarks.

    Raises
    ------
    WinnowError
        Names a choice that is neither.
    """
    found: dict[str, None] = {}
    for choice in choices:
        named = listed("tasks", choice)["tasks"] if choice in options("tasks") else [choice]
        unknown = next((name for name in named if name not in BENCHMARKS), None)
        if unknown:
            raise WinnowError(f"'{unknown}' is no benchmark: {choose(unknown, sorted(BENCHMARKS))}, or a group of them")
        found |= dict.fromkeys(named)
    return list(found)


def needs(names: Sequence[str], data: Data) -> list[Need]:
    """Say what some tasks need."""
    return [_need(BENCHMARKS[name], data) for name in names]


def _need(benchmark: Benchmark, data: Data) -> Need:
    media = data.place / benchmark.media if benchmark.media else None
    if not benchmark.repo:
        return Need(benchmark, benchmark.place, UNKNOWN, UNKNOWN, data.place / benchmark.questions, media)
    words = [word for word in (benchmark.repo, benchmark.config, benchmark.split) if word]
    rows = data.copy_of(benchmark.repo) or cached(benchmark.repo)
    size = f"{SIZES[benchmark.task].gigabytes:g}" if benchmark.task in SIZES else UNKNOWN
    return Need(
        benchmark,
        " · ".join(words),
        asked_revision(benchmark) or held_revision(cached(benchmark.repo)),
        size,
        rows,
        media,
    )


def cached(repo: str) -> Path:
    """The folder of a dataset in the hub's cache."""
    from winnow.harness.data.places import hub_home

    cache = Path(os.environ.get("HF_HUB_CACHE") or hub_home() / "hub").expanduser()
    return cache / f"datasets--{repo.replace('/', '--')}"


def asked_revision(benchmark: Benchmark) -> str | None:
    """The revision that lmms-eval's task file asks for."""
    kwargs: dict[str, Any] = next(_kwargs(folder_of(benchmark)), {})
    return str(kwargs["revision"]) if "revision" in kwargs else None


def held_revision(folder: Path) -> str:
    """The commit that the cache holds."""
    reference = folder / "refs" / "main"
    return reference.read_text().strip() if reference.is_file() else UNKNOWN


def _kwargs(folder: Path) -> Iterator[dict[str, Any]]:
    """The dataset's settings in the template of a family's task files; functions cannot be read as YAML."""
    for path in sorted(folder.glob("_default_template*")):
        text = "\n".join(line for line in path.read_text().splitlines() if "!function" not in line)
        found = (yaml.safe_load(text) or {}).get("dataset_kwargs")
        if found:
            yield found
