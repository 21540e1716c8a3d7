"""The vision tower as a reducer sees it: one frame, its patches, and what the blocks computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Self

import torch

from winnow.reducers.core.layout import Grid

if TYPE_CHECKING:
    from torch import Tensor

    from winnow.reducers.core.site import Site


@dataclass(frozen=True)
class Tower:
    """A vision tower.

    Parameters
    ----------
    blocks : int
        Transformer blocks.
    used : int
        Blocks that the features have passed: 23 of 24 in LLaVA-1.5 (``hidden_states[-2]``), all of SigLIP's 26.
    rows, cols : int
        The grid of patches.
    cls : bool
        Whether a CLS token stands before the patches.
    slots : int or None
        Tokens that the LLM gets of an unreduced frame where the model pools behind the tower; None: one for each patch.
    """

    blocks: int
    used: int
    rows: int
    cols: int
    cls: bool
    slots: int | None = None

    @property
    def patches(self) -> int:
        """Patches in one frame."""
        return self.rows * self.cols

    def share(self, ratio: float) -> float:
        """The share of the patches that a retention ratio stands for: it counts the tokens that the LLM would get."""
        return ratio if self.slots is None or ratio >= 1 else ratio * min(1.0, self.slots / self.patches)

    @property
    def grid(self) -> Grid:
        """One frame as a span."""
        return Grid(1, self.patches, self.cols)


@dataclass(frozen=True)
class TowerProbe:
    """Base of the statistics of a vision block, one value per patch token present."""

    lasting: ClassVar[bool] = True
    """Whether later blocks find it too."""


@dataclass(frozen=True)
class ClsRow(TowerProbe):
    """Attention of the CLS query to each patch, mean over heads, ``(present,)``; needs a tower with CLS."""


@dataclass(frozen=True)
class ColumnMean(TowerProbe):
    """Attention that each patch receives, mean over heads and over the patch queries, ``(present,)``."""


@dataclass(frozen=True)
class Headless(TowerProbe):
    """PruMerge's class attention, ``(present,)``: one softmax over full-width projections instead of heads.

    ``softmax(q . k_j / sqrt(width))`` over all tokens, CLS included, from the raw outputs of `q_proj` and `k_proj`; q
    is the CLS token's, or the mean of the patches' where there is no CLS.
    """


@dataclass(frozen=True)
class ClsLogits(TowerProbe):
    """What the CLS query's attention logits are of each patch, before the softmax, mean over heads, ``(present,)``.

    Without a CLS token the mean over the patches' queries.
    """


@dataclass(frozen=True)
class JoinedHeads(TowerProbe):
    """Queries and keys of all tokens, a CLS token first, each as one vector, ``(2, tokens, width)``, on the device.

    The product of a query and a key is their attention logit before the softmax, mean over heads.
    """

    lasting: ClassVar[bool] = False


@dataclass(frozen=True)
class Uncut(TowerProbe):
    """A statistic of a picture's tiles before their padding is cut off, ``(tiles, patches)``.

    Who acts at the entrance and asks for `of` finds it beside the values of the tokens, where a prompt has tiles.
    """

    of: TowerProbe


@dataclass(frozen=True)
class TextMatch(TowerProbe):
    """How alike each patch is to the text of its prompt, by a CLIP checkpoint beside the model, ``(present,)``.

    Asked for at the block `Tower.used`: the features pass the checkpoint's last norm and its projection, and are
    compared with what its text tower makes of the text, in float32. It is loaded when it is first asked for.

    Parameters
    ----------
    checkpoint : str
        A repository of the hub or a folder; ``random``: random weights of sizes that fit the model's tower.
    cosine : bool
        False: the plain product, without dividing by the lengths.
    whole : bool
        A text that is longer than the text tower takes is read in pieces, whose values are averaged; False: it is cut
        off.
    """

    checkpoint: str
    cosine: bool = True
    whole: bool = True


@dataclass(frozen=True)
class PooledByHead(TowerProbe):
    """What a SigLIP pooling head beside the model makes of each frame, ``(present, 1 + width)``.

    Where the head looks, mean over its heads; then the vector that it makes of the frame, the same at each patch. Asked
    for at the block `Tower.used`: the features pass the blocks that the model's tower lacks, the last norm and the
    head, in float32. They are loaded when they are first asked for.

    Parameters
    ----------
    checkpoint : str
        A repository of the hub or a folder; ``random``: one more block and a head, of random weights that fit.
    """

    checkpoint: str


@dataclass(frozen=True)
class TowerKeys(TowerProbe):
    """Key projections, ``(present, heads, head_dim)``."""


@dataclass(frozen=True)
class TowerValues(TowerProbe):
    """Value projections, ``(present, heads, head_dim)``."""


@dataclass(frozen=True, eq=False)
class TowerView:
    """One frame between attention and MLP of a vision block, or its features behind the last used block.

    Parameters
    ----------
    site : Site
        Where: inside a block, or at the features.
    hidden : Tensor
        The patch tokens present, without CLS, ``(present, width)``.
    index : Tensor
        The patch at whose place each token stands, ascending, ``(present,)``, on the CPU.
    size : Tensor
        Patches merged into each token, ``(present,)``, on the CPU.
    signals : mapping
        ``(probe, block) ->`` values in the order of `index`.
    batch : sequence of mapping
        The signals of all frames that were encoded together, this one's among them.
    own : Tensor or None
        The patch that each token is or went into, ``(present,)``; None: `index`.
    told : Any
        What the method told last of this frame at its earlier sites; None: nothing.
    """

    site: Site
    hidden: Tensor
    index: Tensor
    size: Tensor
    signals: Mapping[tuple[TowerProbe, int], Tensor] = field(default_factory=dict)
    batch: Sequence[Mapping[tuple[TowerProbe, int], Tensor]] = ()
    own: Tensor | None = None
    told: Any = None

    @classmethod
    def of(cls, site: Site, hidden: Tensor, signals: Mapping[tuple[TowerProbe, int], Tensor] | None = None) -> Self:
        """See a whole frame as a method does, from raw tensors.

        Parameters
        ----------
        site : Site
            Where: ``Site.features(tower)``, or ``Site.tower(block, tower)``.
        hidden : Tensor
            All patches without CLS, shape ``(patches, width)``.
        signals : mapping or None
            See `TowerView`.
        """
        own = {} if signals is None else signals
        return cls(site, hidden, torch.arange(len(hidden)), torch.ones(len(hidden), dtype=torch.long), own, (own,))

    @property
    def tower(self) -> Tower:
        """The whole tower."""
        return self.site.vision

    @property
    def block(self) -> int:
        """The block; `tower.used` at the features."""
        return self.site.number
