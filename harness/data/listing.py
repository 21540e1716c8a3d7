"""Which files of a dataset's repository a task needs: the rows of its split, and its media; nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import PurePosixPath
from typing import Any

from winnow.harness.data.pictures import PICTURES
from winnow.harness.data.unpack import ARCHIVE, MEDIA
from winnow.harness.tasks.benchmark import Benchmark

TABLES = {".parquet", ".json", ".jsonl", ".csv", ".tsv", ".arrow"}
DEFAULT = "default"


@dataclass(frozen=True)
class Listing:
    """A repository, as the hub describes it.

    Attributes
    ----------
    repo, commit : str
    revision : str or None
        What was asked for; None: the main branch.
    sizes : dict
        Bytes of each file.
    configs : list of dict
        ``configs`` of the dataset's card, which tell the files of each split; empty: file names tell them.
    """

    repo: str
    revision: str | None
    commit: str
    sizes: Mapping[str, int]
    configs: Sequence[Mapping[str, Any]]

    def rows(self, benchmark: Benchmark) -> dict[tuple[str, str], list[str]]:
        """The files of the splits that a task reads, by configuration and split."""
        wanted = ((benchmark.config or DEFAULT, benchmark.split), *benchmark.beside)
        return {(config, split): self._split(config, split) for config, split in wanted}

    def media(self, benchmark: Benchmark) -> list[str]:
        """The archives and loose media files of a task."""
        if benchmark.media is None:
            return []
        files = (name for name in self.sizes if ARCHIVE.fullmatch(PurePosixPath(name).name) or _is_media(name))
        return sorted(name for name in files if any(fnmatch(name, pattern) for pattern in benchmark.archives))

    def bytes_of(self, names: Iterable[str]) -> int:
        """How large some files are together."""
        return sum(self.sizes[name] for name in set(names))

    def _split(self, config: str, split: str) -> list[str]:
        patterns = [pattern for one in self.configs if _name(one) == config for pattern in _patterns(one, split)]
        if patterns:
            return sorted(name for name in self.sizes if any(fnmatch(name, pattern) for pattern in patterns))
        tables = sorted(name for name in self.sizes if PurePosixPath(name).suffix in TABLES)
        named = [name for name in tables if split in name]
        return named or tables


def _is_media(name: str) -> bool:
    """Whether it is a video, subtitles or a frame in a folder; rows in JSON are none."""
    suffix = PurePosixPath(name).suffix.lower()
    return (suffix in (MEDIA | PICTURES) - TABLES and "/" in name) or suffix in MEDIA - TABLES


def _name(config: Mapping[str, Any]) -> str:
    return str(config.get("config_name") or DEFAULT)


def _patterns(config: Mapping[str, Any], split: str) -> list[str]:
    """The patterns of one split; a configuration without splits is all of them."""
    told = config.get("data_files") or []
    listed = told if isinstance(told, list) else [told]
    found: list[str] = []
    for one in listed:
        if isinstance(one, str):
            found.append(one)
        elif str(one.get("split", split)) == split:
            paths = one["path"]
            found += [paths] if isinstance(paths, str) else list(paths)
    return [pattern.removeprefix("./") for pattern in found]
