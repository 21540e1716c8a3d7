"""Opens the pictures and videos of every document, before a GPU hour is spent on those that are not there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from winnow.harness.common.errors import first_line, root_cause
from winnow.harness.data.documents import Tasks
from winnow.harness.data.media import make_prompt


@dataclass
class Report:
    """What was found.

    Attributes
    ----------
    documents : int
    media : int
        Different files and pictures that open.
    faults : list of (str, int, str)
        Task, document and what is wrong with it.
    """

    documents: int = 0
    media: int = 0
    faults: list[tuple[str, int, str]] = field(default_factory=list)


def inspect(tasks: Tasks, name: str, frames: int, advance: Callable[[int], None] = lambda count: None) -> Report:
    """Decode what the documents of one task show, `frames` frames of each video; every file once.

    Raises
    ------
    WinnowError
        If the task's rows cannot be used at all.
    """
    report, known = Report(), dict[object, str]()
    for document in tasks.documents(name, None):
        report.documents += 1
        try:
            for visual in document.visuals():
                key = _key(visual)
                if key is None or key not in known:
                    known[key] = _fault(visual, frames)
                    report.media += not known[key]
                if known[key]:
                    report.faults.append((name, document.doc_id, known[key]))
        except (Exception, SystemExit) as error:
            report.faults.append((name, document.doc_id, first_line(root_cause(error))))
        advance(1)
    return report


def _key(visual: Any) -> str | None:
    """What names a file; pictures within the rows have no name."""
    if isinstance(visual, dict):
        return str(visual.get("video_path"))
    return str(visual) if isinstance(visual, str | Path) else None


def _fault(visual: Any, frames: int) -> str:
    try:
        make_prompt("", [visual], frames)
    except Exception as error:
        return first_line(error)
    return ""
