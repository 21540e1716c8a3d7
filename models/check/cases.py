"""Tiny random models and prompts on which the invariants are checked."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from PIL import Image
from transformers import BatchFeature

from winnow.models.families import find_family
from winnow.models.families.hybrid import fitted
from winnow.models.families.prompt import Prompt
from winnow.models.loading.load import Loaded, load
from winnow.models.loading.spec import ModelSpec
from winnow.reducers.core.base import Reducer

ARCH = {"llm": "qwen2", "layers": 6, "heads": 4, "kv_heads": 2, "tied": False, "vision": {}}
BACKENDS = ("sdpa", "eager")


@dataclass(frozen=True, eq=False)
class Case:
    """A method on a model with a batch of prompts; its invariants share what it generates."""

    loaded: Loaded
    reducer: Reducer
    prompts: Sequence[Prompt]
    _generated: dict[Hashable, Any] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        """Move the method to where the model has the attention that it reads."""
        model: Any = self.loaded.model
        depth = model.config.get_text_config().num_hidden_layers
        object.__setattr__(self, "reducer", fitted(self.reducer, depth, self.loaded.family.full_every))

    @property
    def keys(self) -> list[str]:
        """A sample key per prompt that depends on the prompt alone."""
        return [prompt.text for prompt in self.prompts]

    @property
    def texts(self) -> list[str]:
        """The words of each prompt."""
        return [prompt.text for prompt in self.prompts]

    def once(self, name: str, generate: Callable[[], Any]) -> Any:
        """Return what `generate` returned when something of this name was first wanted."""
        return _once(self._generated, name, generate)

    def once_for_all(self, name: str, generate: Callable[[], Any]) -> Any:
        """Likewise, for all methods on the same model with the same prompts."""
        return _once(_SHARED.setdefault(self.loaded, {}), (name, *self.prompts), generate)

    def encoded(self) -> BatchFeature:
        """The model's inputs, a mapping of its own."""
        return BatchFeature(dict(self.once_for_all("encoded", lambda: self.loaded.encode([*self.prompts]))))

    def alone(self) -> Iterator[Case]:
        """Each prompt as a case of its own."""
        return (Case(self.loaded, self.reducer, [prompt]) for prompt in self.prompts)


_SHARED: WeakKeyDictionary[Loaded, dict[Hashable, Any]] = WeakKeyDictionary()


def _once(known: dict[Hashable, Any], key: Hashable, make: Callable[[], Any]) -> Any:
    if key not in known:
        known[key] = make()
    return known[key]


@cache
def tiny_model(family: str, attn: str, layers: int = 6) -> Loaded:
    """A tiny random model of a family, see `drawn`."""
    return drawn(family, attn, ARCH | {"tiny_layers": layers})


def drawn(family: str, attn: str, arch: Mapping[str, Any]) -> Loaded:
    """A tiny random model with some numbers of its own; the same weights for every attention implementation.

    The weights are drawn larger than usual, so that attention is sharp and a wrong mask or position shows.
    """
    loaded = load(ModelSpec(family, "", weights="random", scale="tiny", device="cpu", attn=attn, arch=dict(arch)))
    with torch.no_grad():
        for parameter in loaded.model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(6)
        for name, buffer in loaded.model.named_buffers():
            if name.endswith("layer_scalar"):  # 1 as it is drawn
                buffer.fill_(0.7)
    return loaded


def picture(seed: int, frames: int | None = None, size: tuple[int, int] = (40, 60)) -> np.ndarray:
    """A noise image ``(height, width, 3)`` or video ``(frames, height, width, 3)``."""
    shape = (*size, 3) if frames is None else (frames, *size, 3)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def video_prompt(frames: int = 4, text: str = "what happens first ?") -> Prompt:
    """A question about a video."""
    return Prompt(text, videos=[picture(frames, frames)])


def film_prompt(frames: int = 10, rate: float = 0.2, text: str = "what happens at last ?") -> Prompt:
    """A question about a film that is longer than its frames are wide: M-RoPE numbers what follows behind its end."""
    return Prompt(text, videos=[picture(frames, frames, (16, 24))], rates=[rate])


def image_prompt(text: str = "is there a red circle in this picture ?") -> Prompt:
    """A question about an image."""
    return Prompt(text, images=[Image.fromarray(picture(7))])


def mixed_prompt(text: str = "which picture shows the film ?") -> Prompt:
    """A question about two images and a video."""
    images = [Image.fromarray(picture(seed)) for seed in (8, 9)]
    return Prompt(text, images=images, videos=[picture(2, 2)])


def text_prompt(text: str = "say something .") -> Prompt:
    """A prompt without a picture."""
    return Prompt(text)


BLIND = (text_prompt(),)
"""A batch without a picture."""

BATCHES: dict[str, tuple[Prompt, ...]] = {
    "video": (video_prompt(),),
    "image": (image_prompt(),),
    "mixed": (mixed_prompt(),),
    "padded": (video_prompt(), image_prompt(), video_prompt(4, "count ."), text_prompt()),
}
"""Single prompts, and a left-padded batch whose samples keep different numbers of tokens."""

FILMS = (film_prompt(), mixed_prompt(), film_prompt(16, 1.0, "count ."), text_prompt())


def placeholders(model: Any) -> list[int]:
    """Tokens that stand for pictures and films: in an answer they would ask an oracle for one."""
    names = (f"{kind}_token_{word}" for kind in ("image", "video", "audio") for word in ("id", "index"))
    return [token for name in names if (token := getattr(model.config, name, None)) is not None]


def batches(family: str) -> dict[str, tuple[Prompt, ...]]:
    """The batches of a family: with M-RoPE also one of films that are longer than their frames are wide."""
    return BATCHES | ({"films": FILMS} if find_family(family).mrope else {})
