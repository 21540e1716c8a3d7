"""Attention masks for the reduced sequence, made from the masks that transformers built for the full one.

The layers of one forward all receive the mask of layer 0's sequence, in one of four forms: None (plain causal), a bool
or a float ``(batch, 1, queries, keys)``, or for flash attention a ``(batch, keys)``.
"""

from __future__ import annotations

import torch
from torch import Tensor


def narrow(mask: Tensor | None, rows: Tensor | None, cols: Tensor, valid: Tensor) -> Tensor | None:
    """Gather a mask's rows and columns and close the columns that are only padding.

    Parameters
    ----------
    mask : Tensor or None
        As transformers made it.
    rows : Tensor or None
        Query indices, shape ``(batch, q)``; None leaves all queries.
    cols : Tensor
        Key indices, shape ``(batch, k)``.
    valid : Tensor
        Which columns hold real tokens, shape ``(batch, k)``.

    Returns
    -------
    Tensor or None
        In the form of `mask`, with ``(q, k)`` as its last dimensions; None stays None.
    """
    if mask is None:
        return None
    batch = len(cols)
    if mask.ndim == 2:
        return mask.expand(batch, -1).gather(1, cols) * valid.to(mask.dtype)
    mask = mask.expand(batch, *mask.shape[1:])
    if rows is not None:
        mask = mask.gather(2, rows[:, None, :, None].expand(-1, mask.shape[1], -1, mask.shape[3]))
    mask = mask.gather(3, cols[:, None, None, :].expand(-1, *mask.shape[1:3], -1))
    closed = False if mask.dtype == torch.bool else torch.finfo(mask.dtype).min
    return mask.masked_fill(~valid[:, None, None, :], closed)


def explicit(valid: Tensor, queries: int, implementation: str) -> Tensor:
    """The mask that None stands for, for a sequence in which some columns are padding.

    Parameters
    ----------
    valid : Tensor
        Which keys are real, shape ``(batch, keys)``; padding is on the left.
    queries : int
        The last so many positions ask.
    implementation : str
        The attention implementation in use.

    Returns
    -------
    Tensor
        Shape ``(batch, keys)`` for flash attention, else bool ``(batch, 1, queries, keys)``. A padding row sees itself,
        so that its softmax is defined.
    """
    if "flash" in implementation:
        return valid.long()
    keys = valid.shape[1]
    causal = torch.ones(keys, keys, dtype=torch.bool, device=valid.device).tril()
    itself = torch.eye(keys, dtype=torch.bool, device=valid.device)
    return ((causal & valid[:, None, :]) | itself)[:, None, keys - queries :]
