"""What one KV cache holds, layer by layer: the engine's memory of a conversation, which lies on the cache itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from winnow.models.engine.fetched import onto
from winnow.models.engine.trace import PromptTrace
from winnow.reducers.core.errors import UnsupportedError

_NAME = "_winnow_ledger"


@dataclass(frozen=True, eq=False)
class Held:
    """The columns of one layer's keys, where they are not simply all that came.

    Parameters
    ----------
    columns : Tensor
        Place of each column among all tokens that were ever given, padding included, shape ``(batch, n)``.
    valid : Tensor
        Which columns hold real tokens, shape ``(batch, n)``.
    shift : Tensor or None
        How far the layer's positions of later tokens lie below those of layer 0, shape ``(batch,)``.
    added : Tensor or None
        What attention adds to the logits of each column's key, shape ``(batch, n)``; None: nothing.
    """

    columns: Tensor
    valid: Tensor
    shift: Tensor | None = None
    added: Tensor | None = None

    def more(self, further: Held) -> Held:
        """The same with further columns, and shifts summed up."""
        shifts = [held.shift for held in (self, further) if held.shift is not None]
        columns, valid = (torch.cat(pair, 1) for pair in ((self.columns, further.columns), (self.valid, further.valid)))
        plain = self.added is None and further.added is None
        added = None if plain else torch.cat([self.additions, further.additions], 1)
        return Held(columns, valid, torch.stack(shifts).sum(0) if shifts else None, added)

    @property
    def additions(self) -> Tensor:
        """What attention adds, also where that is nothing."""
        return torch.zeros(self.columns.shape) if self.added is None else self.added

    def left(self, told: Held) -> Held:
        """The same columns, of which those count that another layer still has, weighed as there."""
        places = int(max(self.columns.max(), told.columns.max())) + 1
        there = torch.zeros(len(self.columns), places).scatter_add(1, told.columns, told.valid.float())
        valid = self.valid & (there.gather(1, self.columns) > 0)
        if told.added is None:
            return replace(self, valid=valid, added=None)
        weighed = torch.zeros(there.shape).scatter_add(1, told.columns, told.added * told.valid)
        return replace(self, valid=valid, added=weighed.gather(1, self.columns))

    def last(self, number: int) -> Held:
        """The last columns alone."""
        return self._part(slice(-number, None))

    def to(self, device: torch.device) -> Held:
        """The same on another device."""
        added = None if self.added is None else onto(self.added, device)
        return replace(self, columns=onto(self.columns, device), valid=onto(self.valid, device), added=added)

    def less(self, number: int) -> Held:
        """The same without the last columns."""
        return self._part(slice(-number))

    def _part(self, part: slice) -> Held:
        added = None if self.added is None else self.added[:, part]
        return replace(self, columns=self.columns[:, part], valid=self.valid[:, part], added=added)


def everything(start: int, stop: int, batch: int) -> Held:
    """Columns `start` to `stop` of every prompt."""
    columns = torch.arange(start, stop).expand(batch, -1)
    return Held(columns, torch.ones_like(columns, dtype=torch.bool))


@dataclass
class Ledger:
    """The books of one KV cache.

    Parameters
    ----------
    owner : str
        Who keeps them: caches of another `attach` are strangers.
    depth : int
        Layers of the LLM.
    width : int
        Tokens that were ever given, padding included: what an unreduced cache would hold.
    floor : int
        How far the cache can be cropped: the end of the last prompt that was reduced.
    batch : int
        Prompts.
    held : list of Held or None
        Per layer; None: all that came.
    shift : Tensor or None
        How far the positions of later tokens lie below the caller's since the entrance renumbered, shape ``(batch,)``.
    turns : list
        The traces of each prefill.
    places, told : list
        Where methods choose among the keys: where the tokens of each row's prompt stand among all that were ever given,
        and what the method told last, in the prefill or since.
    counted : int
        The first layer with attention, whose columns transformers takes for the length of the cache.
    offset : Any
        What the model adds to later positions, where it remembers that for its last prompt alone (M-RoPE).
    """

    owner: str
    depth: int
    width: int = 0
    floor: int = 0
    batch: int = 0
    held: list[Held | None] = field(default_factory=list)
    shift: Tensor | None = None
    turns: list[list[PromptTrace]] = field(default_factory=list)
    places: list[Tensor] = field(default_factory=list)
    told: list[Any] = field(default_factory=list)
    offset: Any = None
    counted: int = 0

    def __post_init__(self) -> None:
        """Begin with layers that hold all that came: nothing."""
        self.held = self.held or [None] * self.depth

    def __deepcopy__(self, memo: dict[int, Any]) -> Ledger:
        """A copy for a copied cache; what is recorded never changes."""
        return replace(self, held=list(self.held), turns=list(self.turns), told=list(self.told))

    @property
    def entered(self) -> int:
        """Columns of the layer that is counted: what transformers takes for the length of the cache."""
        return self.length(self.counted)

    def length(self, layer: int) -> int:
        """Columns that a layer holds."""
        held = self.held[layer]
        return self.width if held is None else held.columns.shape[1]

    def keep_on(self, cache: Any) -> None:
        """Write the books on the cache."""
        vars(cache)[_NAME] = self

    def grow(self, columns: Sequence[Held | None], new: int, tail: int = 0) -> None:
        """Add what one forward of `new` tokens left in each layer (None: all of them); the last `tail` may go again."""
        whole = everything(self.width, self.width + new, self.batch)
        past = everything(0, self.width, self.batch)
        made: dict[tuple[int, int], Held] = {}
        for layer, (before, after) in enumerate(zip(self.held, columns, strict=True)):
            if before is None and after is None:
                continue
            known = (id(before), id(after))
            if known not in made:
                made[known] = (before or past).more(after or whole)
            self.held[layer] = made[known]
        self.width += new
        if any(held is not None for held in columns):
            self.floor = self.width - tail

    def crop(self, number: int) -> None:
        """Forget the last columns, as the cache did."""
        known = {id(held): held.less(number) for held in self.held if held is not None}
        self.held = [None if held is None else known[id(held)] for held in self.held]
        self.width -= number


def books_on(cache: Any) -> Ledger:
    """The books that were written on a cache."""
    ledger: Ledger = vars(cache)[_NAME]
    return ledger


def ledger_of(cache: Any, owner: str, depth: int, batch: int | None, counted: int = 0) -> Ledger:
    """The books of a cache, brought up to date with what was cropped; new ones for an empty cache.

    Parameters as of `Ledger`.

    Raises
    ------
    UnsupportedError
        For a cache that anybody else has filled, or whose size was changed otherwise than by cropping answers. Whose
        rows were put into another order is not seen.
    """
    length = 0 if cache is None else cache.get_seq_length()
    if not length:
        return Ledger(owner, depth, batch=batch or 0, counted=counted)
    ledger: Ledger | None = vars(cache).get(_NAME)
    if ledger is None or ledger.owner != owner:
        raise UnsupportedError("this cache was filled outside of this attach(...): start with the whole prompt")
    if batch not in (None, ledger.batch):
        raise UnsupportedError(
            f"this cache was filled by a batch of {ledger.batch}, not {batch}: start with the whole prompt"
        )
    gone = ledger.entered - length
    if gone < 0:
        raise UnsupportedError("this cache has grown outside of this attach(...): start with the whole prompt")
    if gone and ledger.width - gone < ledger.floor:
        raise UnsupportedError("this cache was cropped into a prompt that was reduced: start with the whole prompt")
    if gone:
        ledger.crop(gone)
    return ledger
