"""Rows of KV caches with their books: those of several caches as one batch, and some of a batch alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from winnow.models.engine.ledger import Held, Ledger, books_on, everything
from winnow.models.transformers_api import select_rows, stack_caches


def merge(caches: Sequence[Any], owner: str) -> Any:
    """One cache with the rows of several that stand for equally many tokens; these are left empty.

    Layers may differ in length: shorter rows are padded on the left.

    Parameters
    ----------
    caches : sequence of Cache
        Each filled under an `attach` of its own.
    owner : str
        Who keeps the books from now on, see `Ledger`.
    """
    books = [books_on(cache) for cache in caches]
    made, first = stack_caches(caches), books[0]
    known: dict[tuple[int, ...], Held | None] = {}
    for held in zip(*(one.held for one in books), strict=True):
        names = tuple(map(id, held))
        if names not in known:
            known[names] = _merge_held([_explicit(*pair) for pair in zip(held, books, strict=True)], held)
    merged = Ledger(
        owner,
        first.depth,
        first.width,
        max(one.floor for one in books),
        sum(one.batch for one in books),
        [known[tuple(map(id, held))] for held in zip(*(one.held for one in books), strict=True)],
        _merge_shifts([one.shift for one in books], [one.batch for one in books]),
        offset=None if first.offset is None else torch.cat([one.offset for one in books]),
        counted=first.counted,
    )
    merged.keep_on(made)
    return made


def select(cache: Any, rows: Tensor) -> None:
    """Let a cache, and its books, go on with some rows alone."""
    select_rows(cache, rows)
    books, places = books_on(cache), rows.cpu()
    known = {id(held): _select_held(held, places) for held in books.held if held is not None}
    books.held = [None if held is None else known[id(held)] for held in books.held]
    books.shift = None if books.shift is None else books.shift[places]
    books.offset = None if books.offset is None else books.offset[rows.to(books.offset.device)]
    books.batch = len(places)


def _explicit(held: Held | None, books: Ledger) -> Held:
    return held or everything(0, books.width, books.batch)


def _merge_held(parts: Sequence[Held], given: Sequence[Held | None]) -> Held | None:
    """The columns of several caches in one layer, padded on the left; None: all that came, in each of them."""
    if all(held is None for held in given):
        return None
    widths = [part.columns.shape[1] for part in parts]
    missing = [max(widths) - width for width in widths]
    columns, valid = (
        torch.cat([pad(getattr(part, name), (more, 0)) for part, more in zip(parts, missing, strict=True)])
        for name in ("columns", "valid")
    )
    added = None
    if any(part.added is not None for part in parts):
        added = torch.cat([pad(part.additions, (more, 0)) for part, more in zip(parts, missing, strict=True)])
    shift = _merge_shifts([part.shift for part in parts], [len(part.columns) for part in parts])
    return Held(columns, valid, shift, added)


def _merge_shifts(shifts: Sequence[Tensor | None], batches: Sequence[int]) -> Tensor | None:
    if all(shift is None for shift in shifts):
        return None
    pairs = zip(shifts, batches, strict=True)
    return torch.cat([torch.zeros(batch, dtype=torch.long) if shift is None else shift for shift, batch in pairs])


def _select_held(held: Held, rows: Tensor) -> Held:
    shift, added = (None if value is None else value[rows] for value in (held.shift, held.added))
    return Held(held.columns[rows], held.valid[rows], shift, added)
