"""`winnow rerun RUN`: part of a run once more, here, and what differs from then, sample by sample."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from winnow.harness.common import files
from winnow.harness.common.find_run import find_run
from winnow.harness.common.run_files import ENV, RESULT, TRACES, read_samples, read_table
from winnow.harness.config.cell import Cell
from winnow.harness.config.compose import REPLAYS
from winnow.harness.config.schema import TrackerConfig
from winnow.harness.config.stored import stored_cell, stored_config
from winnow.harness.plan.difference import ABSENT, differences
from winnow.harness.run.result import read_result
from winnow.harness.run.store import Run, runs_of
from winnow.harness.sweep.in_process import run
from winnow.reducers.core.errors import WinnowError

Key = tuple[str, int]
TOKENS, DOCUMENT = "visual_per_layer", "doc"
PLACES = ("python", "platform", "cpus", "device", "gpu", "quantised")
"""What of an environment can change an answer and is no part of a run's name."""


@dataclass(frozen=True)
class Repeated:
    """What came of it.

    Attributes
    ----------
    run, again : str
        The run, and the one that repeats a part of it.
    samples : int
        Documents that both answered.
    rows : list of dict
        Those that differ: which, what differs, and both answers.
    reasons : list of str
        What differs in code, versions, weights, settings and machine.
    """

    run: str
    again: str
    samples: int
    rows: list[dict[str, str]]
    reasons: list[str]

    @property
    def verdict(self) -> str:
        """In a line: how many differ, and whether anything that is recorded can be the reason."""
        if not self.rows:
            return f"all {self.samples} samples are as they were" + (", though this differs:" if self.reasons else "")
        told = f"{len(self.rows)} of {self.samples} samples differ"
        others = sum(row["what"] == "document" for row in self.rows)
        if others == len(self.rows):
            return f"{told}: each is about another document than then"
        if self.reasons:
            return f"{told}; what else differs, and may explain it:"
        return f"{told}, and nothing that is recorded explains it: code, versions, weights and machine are the same"


def rerun(name: str, limit: int | None, results: Path, out: Path, trust: bool = False) -> Repeated:
    """Answer documents of a run again, whatever is stored, and compare.

    Parameters
    ----------
    name : str
        The run, imported or not.
    limit : int or None
        At most so many documents of each task.
    results, out : Path
        Where it lies, and where the repetition goes.
    trust : bool
        Whether code may be executed that the run names and Winnow does not register.

    Raises
    ------
    WinnowError
        For a run without its configuration or samples, one that follows another run, and one that cannot be repeated.
    """
    folder = find_run(name, results)
    cell = _part(folder, limit, out, trust)
    then = _samples(folder)
    if not then:
        raise WinnowError(f"run {folder.name} has no samples: `winnow export --full` bundles them")
    run([cell])
    (found,) = runs_of([cell])
    if not (found.folder / RESULT).exists():
        raise WinnowError(f"run {folder.name} could not be repeated: no document was answered")
    now = _samples(found.folder)
    both = [key for key in now if key in then]
    rows = [_row(key, then[key], now[key], what) for key in both if (what := _what(then[key], now[key]))]
    return Repeated(folder.name, found.id, len(both), rows, [*_reasons(folder, found)])


def _part(folder: Path, limit: int | None, out: Path, trust: bool) -> Cell:
    cell = stored_cell(folder, trust)
    if cell.method.target in REPLAYS:
        raise WinnowError(f"run {folder.name} follows another run, {cell.method.args['like']}: repeat that one first")
    least = min((each for each in (limit, cell.limit) if each is not None), default=None)
    return replace(cell, limit=least, results=out, force=True, tracker=TrackerConfig())


def _samples(folder: Path) -> dict[Key, dict[str, Any]]:
    """What a run answered, with its tokens and the fingerprint of the document."""
    traces: dict[Key, dict[str, Any]] = {}
    if (folder / TRACES).exists():
        rows = read_table(folder / TRACES, ["task", "doc_id", DOCUMENT, TOKENS])
        traces = {(row["task"], row["doc_id"]): row for row in rows}
    found = {}
    for task in read_result(folder)["tasks"]:
        for said in read_samples(folder, task["task"]):
            key = (task["task"], said["doc_id"])
            score = (said.get("scores") or {}).get(task["metric"])
            found[key] = {"answer": said.get("answer"), "score": score} | traces.get(key, {})
    return found


def _what(then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What of a sample differs first, in the order in which one leads to the next; empty: nothing."""
    for name, said in ((DOCUMENT, "document"), (TOKENS, "tokens kept"), ("answer", "answer"), ("score", "score")):
        if name in then and name in now and then[name] != now[name]:
            return said
    return ""


def _row(key: Key, then: Mapping[str, Any], now: Mapping[str, Any], what: str) -> dict[str, str]:
    row = {"sample": f"{key[0]}/{key[1]}", "what": what}
    for said, sample in (("then", then), ("now", now)):
        row[said] = str(sample["answer"])
        row[f"score {said}"] = "" if sample["score"] is None else f"{float(sample['score']):g}"
        row[f"tokens {said}"] = str(sample[TOKENS][-1]) if sample.get(TOKENS) else ""
    return row


def _reasons(folder: Path, found: Run) -> Iterator[str]:
    """What differs of all that decides answers but the documents, which each sample's fingerprint tells."""
    before, after = stored_config(folder)["inputs"].get("answers", {}), found.identity.inputs["answers"]
    for name, one, other in differences(before, after):
        if name.partition(".")[0] not in ("documents", "tasks"):
            yield f"{name}: {one} | {other}"
    places = [files.read_json(where / ENV) if (where / ENV).exists() else {} for where in (folder, found.folder)]
    for name in PLACES:
        one, other = (place.get(name, ABSENT) for place in places)
        if one != other:
            yield f"{name}: {one} | {other}"
