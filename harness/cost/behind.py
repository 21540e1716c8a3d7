"""Tokens behind the attention of each layer, which the traces of what entered the layers imply."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from winnow.reducers.core.base import Reducer
    from winnow.reducers.core.layout import Grid
    from winnow.reducers.core.tower import Tower


def mlp_tokens(
    reducer: Reducer | None, tokens: Sequence[int], spans: Sequence[Grid], tower: Tower | None = None
) -> list[int]:
    """Tokens that the MLP of each layer processes.

    Parameters
    ----------
    reducer : Reducer or None
        The method. One that acts inside a layer, as ToMe does, leaves to its MLP what the next layer gets.
    tokens : sequence of int
        Tokens that enter each layer.
    spans : sequence of Grid
        The visual spans; what the last layer loses inside is planned from them.
    tower : Tower or None
        The vision tower, for methods that act in it.
    """
    depth = len(tokens)
    inside = {site.number for site in reducer.sites(depth) if site.kind == "inside"} if reducer and spans else set()
    if not reducer or not inside:
        return list(tokens)
    attention, mlp = reducer.plans(spans, depth, tower)
    following = [*tokens[1:], tokens[-1] - attention[-1] + mlp[-1]]
    return [after if layer in inside else n for layer, (n, after) in enumerate(zip(tokens, following, strict=True))]
