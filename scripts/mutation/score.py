"""A line for each survivor, and the score."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from cosmic_ray.work_item import WorkItem, WorkResult

from scripts.mutation.trial import verdict


def show(item: WorkItem, result: WorkResult) -> None:
    """Print a fault that no test noticed, or whose trial ended in an error."""
    found = verdict(result)
    if found.noticed:
        return
    (fault,) = item.mutations
    said = " ".join((result.output or "").split("\n")[1:]).strip()
    changed = " / ".join(f"{line[0]} {line[1:].strip()}" for line in (result.diff or "").splitlines())
    where = f"{fault.module_path}:{fault.start_pos[0]} {fault.operator_name.removeprefix('core/')}"
    print(f"{found.value}: {where}: {changed} {said}".rstrip(), flush=True)


def summary(items: Mapping[str, WorkItem], results: Mapping[str, WorkResult], rooms: Sequence[str]) -> str:
    """Return the score of a sample, how its faults were noticed, and the score of each room."""
    found = {job: verdict(result) for job, result in results.items()}
    noticed = {job for job, one in found.items() if one.noticed}
    ways = ", ".join(f"{count} {way.value}" for way, count in Counter(found.values()).most_common())
    lines = [f"{len(noticed)} of {len(items)} faults were noticed: {_share(len(noticed), len(items))} ({ways})"]
    for room in rooms:
        own = [job for job, item in items.items() if item.mutations[0].module_path.is_relative_to(room)]
        lines.append(f"{room}: {sum(job in noticed for job in own)} of {len(own)}")
    return "\n".join(lines)


def _share(part: int, whole: int) -> str:
    return f"{100 * part / max(1, whole):.1f} %"
