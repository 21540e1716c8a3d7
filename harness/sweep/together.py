"""What the cells of a planned group compute together: the FLOPs that are left, the memory that it takes, the tree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from winnow.harness.data.document import TOKENS
from winnow.harness.plan.build import Built, build_method
from winnow.harness.plan.nominal import nominal
from winnow.harness.plan.tree import draw, joint_bytes, shared_bytes, shared_flops, trees
from winnow.harness.sweep.manifest import Manifest, SweepCell


def together(manifest: Manifest) -> Iterator[str]:
    """Say for each group of several cells what sharing spares, and draw the tree of one document."""
    for place, group in enumerate(manifest.groups, start=1):
        if len(group) > 1:
            yield from _group(place, group, [manifest.built.get(one.id) or build_method(one.cell) for one in group])


def _group(place: int, group: Sequence[SweepCell], built: Sequence[Built]) -> Iterator[str]:
    cell = group[0].cell
    prompt = nominal(cell.seen)
    plans = [one.visual for one in built]
    found = trees(prompt, [one.reducer for one in built], plans)
    once, alone = (flops / 1e12 for flops in shared_flops(prompt, found))
    memory = shared_bytes(prompt, found, cell.batch_size) / 1e9
    joint = joint_bytes(prompt, plans, cell.batch_size, cell.tasks.max_new_tokens or TOKENS) / 1e9
    head = f"group {place}, prefill of the nominal prompt: {alone:.4g} TFLOPs one by one"
    if cell.share.name == "none":
        yield f"{head}; share=trunk would leave {once:.4g} ({_times(alone, once)})"
        return
    batch = "a document" if cell.batch_size == 1 else f"{cell.batch_size} documents"
    told = f", and {joint:.3g} GB to decode together" if cell.share.name == "all" else ""
    yield f"{head}, {once:.4g} shared ({_times(alone, once)}); about {memory:.3g} GB to remember for {batch}{told}"
    labels = [one.label for one in group]
    names = [one.label if labels.count(one.label) == 1 else f"{one.label} ({one.id})" for one in group]
    yield from (f"  {line}" for line in draw(found, names))


def _times(alone: float, once: float) -> str:
    return f"{alone / once:.2f} times less"
