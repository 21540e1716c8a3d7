"""When a run is finished: the one definition that running, sharing, status, plans and tables go by.

`DONE` is written last. It holds the digests of the run's files, and by which code and labels they were scored and
reported. A run is finished if it is there and the result is what it was then; an empty one, of version 0.1 and of
imported runs, counts beside a result that is whole.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from winnow.harness.common import files
from winnow.harness.common.result import load
from winnow.harness.common.run_files import DONE, RESULT
from winnow.reducers.core.errors import WinnowError

WRITTEN = {".json", ".jsonl", ".parquet"}


@dataclass(frozen=True)
class Done:
    """What `DONE` says.

    Attributes
    ----------
    files : dict
        Digests of the run's files; empty for runs of version 0.1 and imported ones.
    score, report : str
        `Identity.score` and `Identity.report` when it was finished; empty where they are not known.
    """

    files: Mapping[str, str] = field(default_factory=dict)
    score: str = ""
    report: str = ""


def finished(folder: Path, score: str = "", report: str = "") -> bool:
    """Whether every document of a run is answered and scored.

    Parameters
    ----------
    folder : Path
    score, report : str
        By what it must be scored and reported; empty: by whatever it was.
    """
    return (folder / DONE).exists() and not damage(folder, [RESULT]) and not outdated(folder, score, report)


def outdated(folder: Path, score: str, report: str) -> list[str]:
    """Which layers of a finished run another code or other labels have made since: ``score``, ``report``."""
    done = _read(folder) or Done()
    layers = (("score", done.score, score), ("report", done.report, report))
    return [name for name, had, wanted in layers if had and wanted and had != wanted]


def damage(folder: Path, names: Sequence[str] = ()) -> list[str]:
    """Name the files of a finished run that are not what they were when it was finished.

    Parameters
    ----------
    folder : Path
    names : sequence of str
        Those to look at; by default all.
    """
    done = _read(folder)
    if done is None:
        return [DONE]
    if not done.files:
        return [] if _complete(folder) else [RESULT]
    return [name for name in names or done.files if digest_of(folder / name) != done.files.get(name)]


def _complete(folder: Path) -> bool:
    """Whether a run of which no digests are known holds a result of all its documents."""
    try:
        return load(folder)["status"] == "complete"
    except (WinnowError, OSError):
        return False


def seal(folder: Path, score: str, report: str) -> None:
    """Write `DONE` for what lies in a run's folder."""
    names = sorted(path.name for path in folder.iterdir() if path.suffix in WRITTEN and path.is_file())
    digests = {name: digest_of(folder / name) for name in names}
    files.write_json(folder / DONE, {"files": digests, "score": score, "report": report})


def amend(folder: Path, result: Mapping[str, Any]) -> None:
    """Add to a result what was found out later, a comparison or a verdict, so that a finished run stays whole."""
    done = _read(folder) if (folder / DONE).exists() else None
    whole = done is not None and RESULT in done.files and not damage(folder, [RESULT])
    files.write_json(folder / RESULT, result)
    if whole and done is not None:
        digests = dict(done.files) | {RESULT: digest_of(folder / RESULT)}
        files.write_json(folder / DONE, vars(done) | {"files": digests})


def digest_of(path: Path) -> str:
    """SHA-256 of a file; empty if there is none."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(folder: Path) -> Done | None:
    """What `DONE` says; None if it is damaged."""
    try:
        found = files.parse((folder / DONE).read_text(encoding="utf-8") or "{}")
        done = Done(**found) if "files" in found or not found else Done(found)
        names, texts = [*done.files], [*done.files.values(), done.score, done.report]
    except (OSError, ValueError, TypeError, AttributeError):
        return None
    good = all(isinstance(text, str) for text in texts) and all(name and Path(name).name == name for name in names)
    return done if good else None
