"""Opens the pictures and videos of every document, before a GPU hour is spent on those that are not there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from winnow.harness.common.errors import first_line, root_cause
from winnow.harness.data.ahead import Ahead
from winnow.harness.data.document import Document
from winnow.harness.data.media import make_prompt
from winnow.harness.data.pool import Pool
from winnow.models.families.prompt import Prompt

Prepare = Callable[[Prompt], object]
"""What a model's processor does with a prompt."""


@dataclass
class Report:
    """What was found.

    Attributes
    ----------
    documents : int
    media : int
        Different files and pictures that open.
    faults : list of (int, str)
        Document and what is wrong with it.
    """

    documents: int = 0
    media: int = 0
    faults: list[tuple[int, str]] = field(default_factory=list)


def inspect(
    documents: Sequence[Document], frames: int, pool: Pool, prepare: Prepare, advance: Callable[[int], None]
) -> Report:
    """Decode what documents show, `frames` frames of each video, and prepare it for a model; every file once.

    Parameters
    ----------
    documents : sequence of Document
    frames : int
    pool : Pool
        Decodes as in a run.
    prepare : callable
    advance : callable
        Told of each document.
    """
    report, known, ahead = Report(), dict[object, str](), Ahead(pool, documents, frames)
    for document in documents:
        report.documents += 1
        try:
            for visual in ahead.visuals(document):
                key = _key(visual)
                if key is None or key not in known:
                    known[key] = _fault(visual, ahead, prepare)
                    report.media += not known[key]
                if known[key]:
                    report.faults.append((document.doc_id, known[key]))
        except (Exception, SystemExit) as error:
            report.faults.append((document.doc_id, first_line(root_cause(error))))
        ahead.done(document)
        advance(1)
    return report


def _key(visual: Any) -> str | None:
    """What names a file; pictures within the rows have no name."""
    if isinstance(visual, dict):
        return str(visual.get("video_path"))
    return str(visual) if isinstance(visual, str | Path) else None


def _fault(visual: Any, ahead: Ahead, prepare: Prepare) -> str:
    try:
        prepare(make_prompt("", [visual], ahead.frames, ahead.sample))
    except Exception as error:
        return first_line(error)
    return ""
