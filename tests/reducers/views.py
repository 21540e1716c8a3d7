"""Views made by hand, for methods without a model."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from winnow.reducers.core.base import Reducer
from winnow.reducers.core.layout import Layout
from winnow.reducers.core.probes import Keys, KeysAhead, Probe
from winnow.reducers.core.reduction import Reduction, View
from winnow.reducers.core.site import Site, llm_sites


def layout(*grids: tuple[int, int, int], head: int = 3, gap: int = 2, tail: int = 5, key: str = "k") -> Layout:
    """A prompt with text before, between and after visual spans."""
    spans, place = [], head
    for grid in grids:
        spans.append((place, grid))
        place += math.prod(grid) + gap
    return Layout.of(place - gap + tail if grids else head + tail, *spans, key=key)


def view(
    prompt: Layout,
    at: int | Site = 0,
    signals: Mapping[tuple[Probe, int], Tensor] | None = None,
    removed_at: Tensor | None = None,
    depth: int = 28,
    hidden: Tensor | None = None,
) -> View:
    """The prompt at a site (a number: the input of that layer), with what was removed before.

    `hidden` are the states of the whole prompt.
    """
    states = torch.zeros(prompt.length, 4) if hidden is None else hidden
    return View.of(prompt, states, at if isinstance(at, Site) else Site.layer(at, depth), signals, removed_at)


class Noise(dict[tuple[Probe, int], Tensor]):
    """Random values for whatever probe is asked for, with many ties."""

    def __init__(self, prompt: Layout, seed: int = 0) -> None:
        super().__init__()
        self._length, self._draw = prompt.length, torch.Generator().manual_seed(seed)

    def __missing__(self, key: tuple[Probe, int]) -> Tensor:
        shape = (self._length, 2, 4) if isinstance(key[0], Keys | KeysAhead) else (self._length,)
        self[key] = torch.randint(0, 5, shape, generator=self._draw).float()
        return self[key]


def walk(method: Reducer, prompt: Layout, depth: int, seed: int = 0) -> list[Tensor]:
    """The prompt indices that each layer sees when a method goes through the layers of an LLM without states."""
    gone, seen, signals = torch.full((prompt.length,), -1), [], Noise(prompt, seed)
    hidden = torch.randn(prompt.length, 4, generator=torch.Generator().manual_seed(seed))
    for site in llm_sites(depth):
        if site in method.sites(depth):
            answer = method.reduce(view(prompt, site, signals, gone, depth, hidden))
            gone = _without(answer, prompt, gone, site.first_without)
        if site.kind != "inside":
            seen.append((gone < 0).nonzero().flatten())
    return seen


def _without(answer: Reduction | None, prompt: Layout, gone: Tensor, layer: int) -> Tensor:
    if answer is None:
        return gone
    assert bool((answer.keep[1:] > answer.keep[:-1]).all()) and bool((gone[answer.keep] < 0).all())
    assert answer.weights is None or answer.weights.shape[0] == len(answer.keep)
    gone = gone.clone()
    stays = torch.zeros(prompt.length, dtype=torch.bool).index_fill_(0, answer.keep, True)
    gone[prompt.is_visual & ~stays & (gone < 0)] = layer
    if answer.drop_text is not None:
        gone[answer.drop_text] = layer
    return gone
