"""Which cells of a group answer a batch in turn, what they share, and what becomes of it when memory runs out."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence

import torch

from winnow.harness.config.cell import Cell
from winnow.harness.data.document import TOKENS, Document
from winnow.harness.plan.nominal import nominal
from winnow.harness.plan.tree import in_turn, joint_bytes, shared_bytes, trees
from winnow.harness.run.cell_run import CellRun
from winnow.harness.run.preflight import Preflight
from winnow.models.engine import Trunk
from winnow.models.engine.joint import check_joint
from winnow.models.loading.load import Loaded
from winnow.models.loading.random_weights import free_bytes
from winnow.reducers.core.errors import UnsupportedError, WinnowError

PART = 0.25
"""Of the memory that is free, what shared layers may take where nothing is said."""
GIGABYTE = 10**9


class Sharing:
    """How the cells of a group share their prefills.

    Parameters
    ----------
    works : sequence of CellRun
        The cells.
    loaded : Loaded
        Their model, which has its memory already.
    layers : Counter
        Takes the number of LLM layers that were ``run``, and that were ``spared``.

    Attributes
    ----------
    joint : bool
        Whether cells decode together.
    preflight : Preflight
        Of all their tasks.
    """

    def __init__(self, works: Sequence[CellRun], loaded: Loaded, layers: Counter[str]) -> None:
        cell, model = works[0].run.cell, loaded.model
        self.loaded, self.layers, self.preflight = loaded, layers, Preflight()
        self.on = cell.share.name != "none" and len(works) > 1
        self.joint, self.most = cell.share.name == "all", cell.tasks.max_new_tokens or TOKENS
        self.prompt, self.batch = nominal(cell.seen), cell.batch_size
        self._groups: dict[tuple[CellRun, ...], list[list[CellRun]]] = {}
        self.budget = 0
        if self.on:
            known, device = cell.share.memory, str(next(model.parameters()).device)
            self.budget = int(free_bytes(device) * PART if known is None else known * GIGABYTE)

    def groups(self, works: Sequence[CellRun]) -> list[list[CellRun]]:
        """The cells that share a tree, each group in the order of its turns; alone where there is no room for more."""
        if not self.on or len(works) < 2:
            return [[work] for work in works]
        if tuple(works) not in self._groups:
            self._groups[tuple(works)] = self._cut(works)
        return self._groups[tuple(works)]

    def _cut(self, works: Sequence[CellRun]) -> list[list[CellRun]]:
        groups: list[list[CellRun]] = []
        for work in self._in_turn(works):
            if groups and self._fits([*groups[-1], work]):
                groups[-1].append(work)
            else:
                groups.append([work])
        return groups

    def _in_turn(self, works: Sequence[CellRun]) -> list[CellRun]:
        return [works[place] for place in in_turn([work.built.visual for work in works])]

    def _fits(self, works: Sequence[CellRun]) -> bool:
        reducers, plans = [work.built.reducer for work in works], [work.built.visual for work in works]
        needed = shared_bytes(self.prompt, trees(self.prompt, reducers, plans), self.batch)
        if self.joint:
            needed += joint_bytes(self.prompt, plans, self.batch, self.most)
        return needed <= self.budget

    def turns(self, works: Sequence[CellRun]) -> Iterator[tuple[list[CellRun], Trunk | None]]:
        """The cells in the order in which they answer a batch, each group with what it shares; None: nothing."""
        for group in self.groups(works):
            if len(group) == 1:
                yield group, None
                continue
            trunk = Trunk([work.built.reducer for work in group], self.budget)
            try:
                yield group, trunk
            finally:
                self.layers.update(run=len(trunk.ran), spared=len(trunk.spared))
                trunk.close()

    def alone(self, work: CellRun) -> bool:
        """Whether a cell's method chooses among its keys while it decodes, so that it decodes by itself."""
        return any(site.kind == "decode" for site in work.built.reducer.sites(self.prompt.shape.layers))

    def failed(self, trunk: Trunk, error: Exception) -> None:
        """After an error in a shared run: let the cells go on one by one, for good if memory ran out."""
        trunk.close()
        if out_of_memory(error) and self.on:
            self.on = False
            print("share: out of memory, so that cells go on one by one; give less share.memory", file=sys.stderr)


def check_together(cell: Cell, documents: Sequence[Document]) -> None:
    """Refuse tasks whose answers cells cannot decode together, where that is asked for.

    Raises
    ------
    WinnowError
        Names the setting.
    """
    if cell.share.name != "all":
        return
    for document in documents:
        try:
            check_joint(document.generation)
        except UnsupportedError as error:
            raise WinnowError(f"share=all on task '{document.task}': {error}; choose share=trunk") from None


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there is no memory left."""
    told = str(error)
    short = isinstance(error, RuntimeError) and ("out of memory" in told or "can't allocate memory" in told)
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or short
