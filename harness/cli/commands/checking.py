"""What ``winnow data check`` does: decodes and prepares what a run would, and names what cannot be shown."""

from __future__ import annotations

from collections.abc import Sequence

from winnow.harness.common.progress import progress
from winnow.harness.config.overrides import cell_from
from winnow.harness.config.schema import TasksConfig
from winnow.harness.data.documents import Tasks
from winnow.harness.data.faults import grouped
from winnow.harness.data.inspection import Prepare, Report, inspect
from winnow.harness.data.needs import names_of
from winnow.harness.data.showing import FRAMES

MODEL = "model="
SHOWN = 20


def check(words: Sequence[str], data: str, frames: int | None) -> bool:
    """Look at every document of some tasks, and print what is wrong; return whether nothing is.

    Parameters
    ----------
    words : sequence of str
        Tasks and groups of them, and overrides as `run.py` takes them; ``model=`` gives frames and processor.
    data : str
        Where the data lie.
    frames : int or None
        Of each video; None: the model's number.
    """
    from winnow.harness.run.loaded import LoadedModel, preparer

    overrides = [word for word in words if "=" in word]
    names, cell = names_of([word for word in words if "=" not in word]), cell_from(overrides)
    named = any(word.startswith(MODEL) for word in overrides)
    prepare: Prepare = preparer(cell.seen) if named else lambda prompt: prompt
    tasks, number = Tasks(TasksConfig(name="check", tasks=names, data=data)), cell.seen.frames if named else FRAMES
    good = True
    with LoadedModel() as kept:
        for name in names:
            documents = tasks.documents(name, None)
            with progress(f"checking {name}", len(documents)) as advance:
                report = inspect(documents, frames or number, kept.pool(cell.media), prepare, advance)
            _print(name, report)
            good = good and not report.faults
    return good


def _print(name: str, report: Report) -> None:
    bad = f", {len(report.faults)} cannot be shown" if report.faults else ""
    print(f"{name}: {report.documents} documents, {report.media} files and pictures open{bad}", flush=True)
    for fault in grouped(report.faults):
        print(f"  {len(fault.documents)} x {fault.reason}")
        for number, file in fault.documents[:SHOWN]:
            print(f"    document {number}{f': {file}' if file else ''}")
        if len(fault.documents) > SHOWN:
            print(f"    and {len(fault.documents) - SHOWN} more")
