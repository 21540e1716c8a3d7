"""Where the data of benchmarks lie: on the hub and in ``HF_HOME``, or in a folder that holds both as copies."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from winnow.reducers.core.errors import WinnowError

HUB, FIXTURES = "hub", "fixtures"


@dataclass(frozen=True)
class Data:
    """The two places of a benchmark's data.

    Attributes
    ----------
    mirror : Path or None
        Copies of hub datasets, ``<organisation>/<dataset>``; None: the hub itself, through its cache.
    place : Path
        What lmms-eval takes for ``HF_HOME``: videos lie below it.
    stamp : str
        Names the state of the copies: the library `datasets` would keep rows of a file that has changed since.
    """

    mirror: Path | None
    place: Path
    stamp: str = ""

    @property
    def copies(self) -> Path:
        """Where fetched rows are laid out, as ``<organisation>/<dataset>``: the mirror, else beside the videos."""
        return self.mirror or self.place / "winnow"

    @property
    def archives(self) -> Path | None:
        """Where a folder's downloads lie; None: in the hub's cache."""
        return None if self.mirror is None else self.mirror.parent / "archives"

    def copy_of(self, repo: str) -> Path | None:
        """The copy of a dataset that runs read; None: the hub's."""
        found = self.copies / repo
        return found if self.mirror is not None or found.is_dir() else None

    @contextmanager
    def home(self) -> Iterator[None]:
        """Let lmms-eval see this place as ``HF_HOME``: its tasks read it when they are loaded, some later on."""
        wanted = {"HF_HOME": str(self.place)}
        if self.mirror is not None:
            wanted["LMMS_EVAL_DATASETS_CACHE"] = str(self.place / "datasets" / self.stamp)
        before = {name: os.environ.get(name) for name in wanted}
        os.environ.update(wanted)
        _forget_folder()
        try:
            yield
        finally:
            for name, value in before.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})
            _forget_folder()


def hub_home() -> Path:
    """``HF_HOME``, or where Hugging Face's libraries put it."""
    return Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface").expanduser()


def data_of(name: str) -> Data:
    """Find the data: ``hub``, ``fixtures`` (miniatures that are written when they are first needed) or a folder.

    Raises
    ------
    WinnowError
        If the folder does not hold ``mirror`` and ``home``.
    """
    if name == HUB:
        return Data(None, hub_home())
    if name == FIXTURES:
        from winnow.harness.tasks.fixtures.write import ensure

        root = ensure()
    else:
        root = Path(name).expanduser().absolute()
    if not (root / "mirror").is_dir() or not (root / "home").is_dir():
        raise WinnowError(f"tasks.data={name} holds no mirror and home: give hub, fixtures or a folder with both")
    return Data(root / "mirror", root / "home", _stamp(root / "mirror"))


def make_place(name: str) -> Data:
    """Find the place that data are fetched to, and make it if it is a folder.

    Raises
    ------
    WinnowError
        If nothing can be fetched to it.
    """
    if name == FIXTURES:
        raise WinnowError("--data fixtures is not allowed: they are written when they are needed; give hub or a folder")
    if name != HUB:
        for part in ("mirror", "home"):
            (Path(name).expanduser() / part).mkdir(parents=True, exist_ok=True)
    return data_of(name)


def _stamp(mirror: Path) -> str:
    files = sorted(path for path in mirror.rglob("*") if path.is_file())
    states = ((str(path.relative_to(mirror)), path.stat().st_size, path.stat().st_mtime_ns) for path in files)
    return hashlib.sha256(repr(list(states)).encode()).hexdigest()[:12]


def _forget_folder() -> None:
    """Make lmms-eval look again where rows are kept: it remembers the first answer."""
    task = sys.modules.get("lmms_eval.api.task")
    if task is not None:
        task._resolve_hf_datasets_cache_dir.cache_clear()
