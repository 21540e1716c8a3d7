"""The replay oracle: a hook-free pass, layer by layer, that carries out the reductions which a trace tells.

For merges, new positions, dropped text and everything that happens in the vision tower, where masking cannot say what
ought to come out. Each layer of the model is called as a plain function on the sequence that is left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from winnow.models.check.oracle import angles, as_mask, entrance, read_while_decoding, said, same_picture
from winnow.models.check.pixels import Filled
from winnow.models.check.sharing import Keys, fed
from winnow.models.engine.norms import Norms, closed, norms_of
from winnow.models.engine.tower_pass import TowerPass
from winnow.models.engine.trace import PromptTrace
from winnow.models.engine.windows import both_ways_layers, windows
from winnow.models.families import family_of
from winnow.models.families.base import Parts
from winnow.models.transformers_api import attention_of
from winnow.reducers.core.reduction import Reduction
from winnow.reducers.core.site import Site


@torch.no_grad()
def replay_logits(
    model: nn.Module,
    parts: Parts,
    inputs: Mapping[str, Any],
    answer: Tensor,
    trace: PromptTrace,
    features: tuple[Tensor, Tensor] | Filled | None = None,
) -> Tensor:
    """Logits of each answer token under the reductions of `trace`; parameters as in `oracle_logits`.

    Parameters
    ----------
    features : (Tensor, Tensor) or Filled or None
        Where the vision tower was reduced: prompt indices of what it filled, ``(n,)``, and the vectors, ``(n, width)``;
        perhaps also what deepstack adds to them.
    """
    hidden, positions, added, identity = entrance(model, parts, inputs, answer)
    if features is not None:
        hidden[0, features[0]] = features[1]
        for plane, own in zip(added, features[2] if len(features) > 2 else (), strict=False):
            plane[0, features[0]] = own
    llm: Any = parts.llm
    walk = _Walk(trace, hidden[0], positions[..., 0, :], [features[0] for features in added])
    keys = Keys(llm, len(parts.layers))
    far, together = windows(llm.config, len(parts.layers)), same_picture(model, [trace], hidden.shape[1])
    both_ways = both_ways_layers(family_of(model), far)
    walk.act(Site.pixels(len(parts.layers)))
    for number, layer in enumerate(parts.layers):
        block: Any = layer
        walk.act(Site.layer(number, len(parts.layers)))
        if not number and identity is not None:
            walk.added = [fed(llm, walk.hidden, identity[0, walk.tokens]).flatten(1)]
        place, state = torch.tensor(walk.tokens), walk.hidden[None]
        distance = place[:, None] - place
        seen = (distance >= 0) | together[place][:, place] if number in both_ways else distance >= 0
        mask = seen & (distance < (far[number] or len(together))) & read_while_decoding(trace, number, place)
        turned = angles(llm, state, walk.positions[..., None, :], number)
        shown = as_mask(mask[None, None], state.dtype, attention_of(llm.config))
        if walk.weighed:
            shown = as_mask(mask[None, None], state.dtype, "eager") + torch.tensor(walk.size).log().to(state.dtype)
        more = {} if hasattr(block, "linear_attn") else keys.told(block.self_attn, number, walk.tokens)
        attended = _mixed(block, state, shown, turned, more)
        norms = norms_of(layer)
        walk.hidden = (state + _normed(block, norms.behind_attention, attended))[0]
        walk.act(Site.inside(number, len(parts.layers)))
        state = walk.hidden[None]
        made = _fed(block, norms, state)
        given = None if identity is None else walk.added[0].unflatten(1, (len(parts.layers), -1))[None, :, number]
        walk.hidden = closed(block, state + _normed(block, norms.behind_mlp, made), given)[0]
        if number < len(added):
            walk.hidden = walk.hidden + walk.added[number]
    return said(model, llm.norm(walk.hidden[-len(answer) - 1 : -1]))


def _mixed(block: Any, state: Tensor, mask: Tensor, turned: Any, more: Mapping[str, Any]) -> Tensor:
    """What attention makes of the tokens that are left, or a layer that carries a state through them, and no other."""
    normed = block.input_layernorm(state)
    if hasattr(block, "linear_attn"):
        carried: Tensor = block.linear_attn(hidden_states=normed)
        return carried
    told = {"attention_mask": mask, "position_embeddings": turned} | dict(more)
    attended: Tensor = block.self_attn(hidden_states=normed, **told)[0]
    return attended


def _fed(block: Any, norms: Norms, state: Tensor) -> Tensor:
    """What a layer's MLP makes of the tokens that are left, and experts beside it."""
    made: Tensor = block.mlp(_normed(block, norms.before_mlp, state))
    if not hasattr(block, "experts"):
        return made
    tokens = state.flatten(0, -2)
    _, weights, chosen = block.router(tokens)
    routed: Tensor = block.experts(block.pre_feedforward_layernorm_2(tokens), chosen, weights).view_as(state)
    both: Tensor = block.post_feedforward_layernorm_1(made) + block.post_feedforward_layernorm_2(routed)
    return both


def _normed(block: nn.Module, name: str | None, state: Tensor) -> Tensor:
    """The state behind a layer's norm of this name; itself where there is none."""
    made: Tensor = state if name is None else getattr(block, name)(state)
    return made


class _Walk:
    """A sequence on its way through the layers, with plain lists for bookkeeping."""

    def __init__(self, trace: PromptTrace, hidden: Tensor, positions: Tensor, added: list[Tensor]) -> None:
        self.trace, self.hidden, self.positions, self.added = trace, hidden, positions, added
        self.tokens = list(range(len(hidden)))
        self.size, self.weighed = [1.0] * len(hidden), False

    def act(self, site: Site) -> None:
        """Carry out what the trace says about this place."""
        for step in self.trace.steps:
            if step.site == site:
                self._reduce(step.reduction)

    def _reduce(self, reduction: Reduction) -> None:
        visual = set(self.trace.layout.visual.tolist())
        keep = reduction.keep.tolist()
        members = [i for i, token in enumerate(self.tokens) if token in visual]
        hidden, positions = self.hidden.clone(), self.positions.clone()
        added = [features.clone() for features in self.added]
        size, self.weighed = list(self.size), self.weighed or reduction.weighed
        if reduction.weights is not None:
            weights = reduction.weights.to_dense().double()
            for row, token in zip(weights, keep, strict=True):
                place = self.tokens.index(token)
                size[place] = sum(self.size[i] for i, w in zip(members, row.tolist(), strict=True) if w)
                for new, old in zip([hidden, *added], [self.hidden, *self.added], strict=True):
                    new[place] = (row[:, None] * old[members].double()).sum(0).to(new.dtype)
                if reduction.positions == "mean":
                    positions[place] = int((row * self.positions[members].double()).sum() / row.sum() + 1e-6)
        gone = set() if reduction.drop_text is None else set(reduction.drop_text.tolist())
        stays = [i for i, t in enumerate(self.tokens) if t not in gone and (t not in visual or t in set(keep))]
        self.tokens, self.size = [self.tokens[i] for i in stays], [size[i] for i in stays]
        self.hidden, self.positions = hidden[stays], positions[..., stays]
        self.added = [features[stays] for features in added]
        if reduction.positions == "compact":
            self.positions = self.positions[0] + torch.arange(len(stays))
        if reduction.positions == "restart":
            self.positions = torch.tensor(self._restarted(visual))

    def _restarted(self, visual: set[int]) -> list[int]:
        """Text stands one behind the token before it, a visual token as far behind it as it did."""
        old = self.positions.tolist()
        new = old[:1]
        for place in range(1, len(old)):
            new.append(new[-1] + (old[place] - old[place - 1] if self.tokens[place] in visual else 1))
        return new


@torch.no_grad()
def replay_features(
    parts: Parts, pixels: Tensor, frames: TowerPass, slots: int | None, tower: int = 0, cls: bool = False
) -> Tensor:
    """The projected vectors of a reduced tower, in their slots.

    Parameters
    ----------
    parts : Parts
        The model's modules.
    pixels : Tensor
        Shape ``(frames, 3, height, width)``.
    frames : TowerPass
        What the engine says it did.
    slots : int or None
        See `Family.pooled_slots`.
    tower : int
        See `Span.tower`.
    cls : bool
        Whether CLS goes on to the LLM, see `Family.video_cls`.

    Returns
    -------
    Tensor
        Shape ``(frames, [1 +] slots, width)``; zero where a slot holds nothing.
    """
    vectors = [_frame_features(parts.towers[tower], pixels[f : f + 1], frames, f) for f in range(len(pixels))]
    made = []
    for hidden, index in vectors:
        projected = parts.projector(hidden[None])[0]
        full = projected.new_zeros(frames.tower.patches if slots is None else slots, projected.shape[1])
        full[index if slots is None else list(range(len(index)))] = projected[int(frames.tower.cls) :]
        made.append(torch.cat([projected[: int(cls)], full]))
    return torch.stack(made)


def _frame_features(
    model: tuple[nn.Module, Sequence[nn.Module]], pixels: Tensor, frames: TowerPass, f: int
) -> tuple[Tensor, list[int]]:
    """One frame, block by block, with its own books of places and sizes: CLS and patches, and where these stand."""
    tower: Any = model[0]
    first, index = int(frames.tower.cls), list(range(frames.tower.patches))
    size = torch.ones(len(index))
    hidden = tower.embeddings(pixels)
    hidden = (tower.pre_layrnorm(hidden) if hasattr(tower, "pre_layrnorm") else hidden)[0]
    for number, block in enumerate(model[1][: frames.tower.used]):
        inner: Any = block
        bias = torch.cat([torch.zeros(first), size.log()]) if getattr(frames.reducer, "proportional", False) else None
        mask = None if bias is None else bias[None, None, None].expand(1, 1, len(hidden), -1)
        attended, _ = inner.self_attn(hidden_states=inner.layer_norm1(hidden)[None], attention_mask=mask)
        hidden = hidden + attended[0]
        patches, index, size = _reduced(frames, Site.tower(number, frames.tower), f, hidden[first:], index, size)
        hidden = torch.cat([hidden[:first], patches])
        hidden = hidden + inner.mlp(inner.layer_norm2(hidden))
    patches, index, size = _reduced(frames, Site.features(frames.tower), f, hidden[first:], index, size)
    return torch.cat([hidden[:first], patches]), index


def _reduced(
    frames: TowerPass, site: Site, f: int, patches: Tensor, index: list[int], size: Tensor
) -> tuple[Tensor, list[int], Tensor]:
    """Carry out what `frames` says about one frame at one site."""
    for at, answers in frames.steps:
        answer = answers[f] if at == site else None
        if answer is not None:
            weights = torch.zeros(len(answer.keep), len(index), dtype=torch.double)
            if answer.weights is None:
                weights[range(len(answer.keep)), [index.index(int(p)) for p in answer.keep]] = 1
            else:
                weights = answer.weights.to_dense().double()
            patches = (weights @ patches.double()).to(patches.dtype)
            size = (weights != 0).float() @ size
            index = answer.keep.tolist()
    return patches, index, size
