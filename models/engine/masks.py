"""Attention masks of reduced sequences, from the places that their tokens have among all tokens that were given.

Places, not columns, decide: a token sees what came before it, within the window of a sliding layer, and, where pictures
attend both ways, all that is left of its own picture.
"""

from __future__ import annotations

import torch
from torch import Tensor

from winnow.models.engine.fetched import onto
from winnow.models.engine.ledger import Held
from winnow.reducers.core.errors import UnsupportedError


def attention_mask(
    rows: Held,
    columns: Held,
    window: int | None,
    implementation: str,
    dtype: torch.dtype,
    wanted: bool,
    device: torch.device | None = None,
    pictures: Tensor | None = None,
) -> Tensor | None:
    """The mask of one layer in one forward.

    Parameters
    ----------
    rows : Held
        The tokens of this forward.
    columns : Held
        The keys: what the layer held, and the tokens of this forward behind it.
    window : int or None
        How many tokens back a row sees, itself included; None: all.
    implementation : str
        The attention implementation.
    dtype : torch.dtype
        Of the hidden states.
    wanted : bool
        Whether transformers made a mask for the whole sequence.
    device : torch.device or None
        Where the mask is needed; whether one is needed is seen on the host, which so waits for nothing. None: there.
    pictures : Tensor or None
        Which picture the token at each place is of, -1 for text, ``(batch, places)``, where pictures attend both ways.

    Returns
    -------
    Tensor or None
        Bool (sdpa) or float (eager, and where keys are weighed) ``(batch, 1, rows, columns)``; for flash attention
        ``(batch, columns)``. None where the implementation's own causal mask is right.

    Raises
    ------
    UnsupportedError
        For flash attention where keys are weighed.
    """
    device = columns.columns.device if device is None else device
    padded = not bool(columns.valid.all())
    if "flash" in implementation and columns.added is not None:
        raise UnsupportedError(
            "a method that weighs merged tokens in attention needs a mask of numbers: use model.attn=sdpa"
        )
    if "flash" in implementation:
        return columns.to(device).valid.long() if padded else None
    n, k = rows.columns.shape[1], columns.columns.shape[1]
    passed = window is not None and int((rows.columns[:, -1] - columns.columns[:, 0]).max()) >= window
    mine, theirs = (None if pictures is None else pictures.gather(1, held.columns) for held in (rows, columns))
    weighed = columns.added is not None
    if not (wanted or weighed or padded or passed or 1 < n < k or (mine is not None and bool((mine >= 0).any()))):
        return None
    rows, columns = rows.to(device), columns.to(device)
    distance = rows.columns[:, :, None] - columns.columns[:, None, :]
    seen = distance >= 0
    if mine is not None and theirs is not None:
        mine, theirs = onto(mine, device), onto(theirs, device)
        seen |= (mine[:, :, None] == theirs[:, None, :]) & (mine >= 0)[:, :, None]
    seen &= columns.valid[:, None, :]
    if window is not None:
        seen &= distance < window
    seen |= (distance == 0) & ~rows.valid[:, :, None]  # a row of padding sees something, so that nothing is undefined
    seen = seen[:, None]
    if implementation == "sdpa" and columns.added is None:
        return seen
    made = torch.zeros(seen.shape, dtype=dtype, device=seen.device)
    made = made if columns.added is None else made + columns.added[:, None, None].to(dtype)
    return made.masked_fill(~seen, torch.finfo(dtype).min)
