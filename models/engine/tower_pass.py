"""One pass through the vision tower: which patches of which frame are still there."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from winnow.models.engine.provenance import merged
from winnow.reducers.core.base import Reducer
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.reduction import Reduction
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import (
    ClsLogits,
    ClsRow,
    ColumnMean,
    Headless,
    PatchLogits,
    Tower,
    TowerKeys,
    TowerProbe,
    TowerValues,
    TowerView,
)
from winnow.reducers.core.tower_statistics import (
    cls_attention,
    cls_logits,
    headless_attention,
    mean_attention,
    patch_logits,
)


class TowerPass:
    """The frames of one tower pass.

    Tokens stand as ``[CLS] patches... padding``: frames that keep fewer patches are padded on the right.

    Parameters
    ----------
    reducer : Reducer
        The method.
    tower : Tower
        The tower.
    number : int
        TowerPass in the batch.

    Attributes
    ----------
    index, size, anchor, own : list of Tensor
        Per frame the patches at whose places tokens stand, the patches merged into each, per patch the one that it
        was merged into at last, and the patch that each token is or went into.
    steps : list
        The reductions in order, as ``(site, one per frame)``.
    closed : bool
        Whether the method has been asked at the features.
    """

    def __init__(self, reducer: Reducer, tower: Tower, number: int) -> None:
        self.reducer, self.tower = reducer, tower
        self.index = [torch.arange(tower.patches) for _ in range(number)]
        self.size = [torch.ones(tower.patches, dtype=torch.long) for _ in range(number)]
        self.anchor = [torch.arange(tower.patches) for _ in range(number)]
        self.own = [torch.arange(tower.patches) for _ in range(number)]
        self.steps: list[tuple[Site, list[Reduction | None]]] = []
        self.closed = False
        self.signals: list[dict[tuple[TowerProbe, int], Tensor]] = [{} for _ in range(number)]
        self.told: list[object] = [None] * number

    @property
    def reduced(self) -> bool:
        """Whether any frame is no longer the grid that came in."""
        return bool(self.steps)

    def observe(
        self, block: int, probes: Sequence[TowerProbe], query: Tensor, key: Tensor, value: Tensor, scaling: float
    ) -> None:
        """Compute what is asked of a block's attention, frame by frame, without padding."""
        for f, index in enumerate(self.index):
            tokens = int(self.tower.cls) + len(index)
            self.signals[f] = {key: found for key, found in self.signals[f].items() if key[0].lasting}
            q, k, v = (x[f, :, :tokens] for x in (query, key, value))
            for probe in probes:
                self.signals[f][probe, block] = _value(probe, self.tower.cls, q, k, v, scaling, self.log_sizes(f))

    def log_sizes(self, f: int) -> Tensor | None:
        """What a frame's attention adds to the logits of each key, CLS first, ``(tokens,)``; None: nothing."""
        if not getattr(self.reducer, "proportional", False):
            return None
        sizes = torch.cat([torch.ones(int(self.tower.cls), dtype=torch.long), self.size[f]])
        return sizes.log()

    def reduce(self, site: Site, hidden: Tensor, cls: bool) -> Tensor:
        """Ask the method for every frame, and carry out its answers.

        Parameters
        ----------
        site : Site
            Where in the tower.
        hidden : Tensor
            Shape ``(frames, n, width)``.
        cls : bool
            Whether `hidden` begins with CLS.

        Returns
        -------
        Tensor
            Shape ``(frames, n', width)``; `hidden` itself if nothing changes.
        """
        first, rows = int(cls), []
        answers: list[Reduction | None] = []
        for f, index in enumerate(self.index):
            state = hidden[f, first : first + len(index)]
            about = self.size[f], self.signals[f], self.signals, self.own[f], self.told[f]
            answer = self.reducer.reduce(TowerView(site, state, index, *about))
            self.told[f] = self.told[f] if answer is None or answer.told is None else answer.told
            if answer is not None and answer.weights is None and len(answer.keep) == len(index):
                answer = None
            answers.append(answer)
            kept = state if answer is None else self._apply(f, state, answer)
            rows.append(torch.cat([hidden[f, :first], kept]))
        if all(answer is None for answer in answers):
            return hidden
        self.steps.append((site, answers))
        width = max(len(row) for row in rows)
        return torch.stack([torch.cat([row, row[:1].expand(width - len(row), -1)]) for row in rows])

    def _apply(self, f: int, state: Tensor, answer: Reduction) -> Tensor:
        """The new tokens of one frame; its books are brought up to date."""
        index, keep = self.index[f], answer.keep
        places = torch.searchsorted(index, keep.contiguous())
        if not bool(torch.isin(keep, index).all()) or bool((keep[1:] <= keep[:-1]).any()):
            raise WinnowError(f"reducer {self.reducer.name} keeps patches that are gone, or not in ascending order")
        if answer.weights is None:
            self.size[f], self.own[f] = self.size[f][places], self.own[f][places]
        else:
            self.anchor[f], self.size[f] = merged(answer.weights, index, keep, self.anchor[f], self.size[f])
            self.own[f] = keep if answer.own is None else answer.own
        self.index[f] = keep
        return answer.apply(state, index)

    def mask(self, hidden: Tensor, implementation: str) -> Tensor | None:
        """Attention mask for the blocks behind a reduction: closes padding, and adds log sizes where asked for.

        Returns
        -------
        Tensor or None
            Shape ``(frames, 1, n, n)``, bool or float; None where every token may see every other.
        """
        lengths = torch.tensor([len(index) + int(self.tower.cls) for index in self.index])
        n = hidden.shape[1]
        valid = (torch.arange(n) < lengths[:, None]).to(hidden.device)
        proportional = getattr(self.reducer, "proportional", False)
        if not proportional and bool(valid.all()):
            return None
        if not proportional and implementation == "sdpa":
            return valid[:, None, None].expand(-1, 1, n, -1)
        bias = torch.zeros(len(valid), n, dtype=hidden.dtype, device=hidden.device)
        for f in range(len(bias)):
            if (added := self.log_sizes(f)) is not None:
                bias[f, : len(added)] = added.to(bias)
        bias = bias.masked_fill(~valid, torch.finfo(hidden.dtype).min)
        return bias[:, None, None].expand(-1, 1, n, -1)

    def scatter(self, features: Tensor, slots: int | None, cls: bool = False) -> Tensor:
        """Put projected vectors, ``(frames, m, width)``, where the model expects its features.

        Parameters
        ----------
        features : Tensor
            One row per kept patch.
        slots : int or None
            None: each vector goes to its patch's slot of ``tower.patches``. A number: the model pools, the vectors take
            the first of that many slots.
        cls : bool
            Whether `features` begins with CLS, and its slots with one for it.
        """
        first, patches = int(cls), self.tower.patches if slots is None else slots
        full = features.new_zeros(len(features), first + patches, features.shape[2])
        full[:, :first] = features[:, :first]
        for f, place in enumerate(self.slots(slots)):
            full[f, place.to(full.device) + first] = features[f, first : first + len(place)]
        return full

    def slots(self, slots: int | None) -> list[Tensor]:
        """Slots that hold a vector, per frame, ascending."""
        return self.index if slots is None else [torch.arange(len(index)) for index in self.index]


def _value(
    probe: TowerProbe, cls: bool, query: Tensor, key: Tensor, value: Tensor, scaling: float, added: Tensor | None
) -> Tensor:
    """One statistic of one frame; `query`, `key`, `value` have shape ``(heads, tokens, head_dim)``.

    Attention is what the block computes, with what it adds to the logits of each key; `Headless` is none of a block's.
    """
    first = int(cls)
    if isinstance(probe, TowerKeys):
        return key[:, first:].transpose(0, 1)
    if isinstance(probe, TowerValues):
        return value[:, first:].transpose(0, 1)
    if isinstance(probe, Headless):
        return headless_attention(query, key, cls)
    if isinstance(probe, ClsLogits):
        return cls_logits(query, key, scaling, cls)
    if isinstance(probe, PatchLogits):
        return patch_logits(query, key, scaling, cls)
    if isinstance(probe, ClsRow):
        return cls_attention(query, key, scaling, added)
    assert isinstance(probe, ColumnMean)
    return mean_attention(query, key, scaling, added, cls)
