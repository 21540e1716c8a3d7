"""Fixed prompts of exact length: videos of random pixels, and as much text as the nominal prompt has."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import BatchFeature

from winnow.harness.config.schema import ModelConfig
from winnow.harness.data import media
from winnow.harness.tasks.pico.data import write_video
from winnow.models.families.prompt import Prompt
from winnow.models.loading.load import Loaded
from winnow.reducers.core.errors import WinnowError

TEXT = "what happens in this video, and why?"
GRAIN = 8
"""Side of a random spot, in pixels: pure noise would be slower to decode than any film."""


class Prompts:
    """A batch of prompts that differ in their pixels.

    Parameters
    ----------
    model : ModelConfig
        `frames` and `nominal` say how long a prompt is.
    loaded : Loaded
    batch : int
        Prompts.
    folder : Path
        Where to write the videos.
    """

    def __init__(self, model: ModelConfig, loaded: Loaded, batch: int, folder: Path) -> None:
        self._loaded, self._frames, self._text = loaded, model.frames, model.nominal.text
        side = frame_side(model, loaded)
        self._paths = [folder / f"{number}.mp4" for number in range(batch)]
        for number, path in enumerate(self._paths):
            spots = -(-side // GRAIN)
            noise = np.random.default_rng(number).integers(0, 256, (self._frames, spots, spots, 3), dtype=np.uint8)
            write_video(path, noise.repeat(GRAIN, 1).repeat(GRAIN, 2)[:, :side, :side])

    def decode(self) -> list[np.ndarray]:
        """Decode every video anew."""
        media.forget()
        return [media.decode_video(path, self._frames) for path in self._paths]

    def encode(self, videos: list[np.ndarray]) -> BatchFeature:
        """Turn decoded videos into the model's inputs, on its device.

        Raises
        ------
        WinnowError
            If the family's template alone is longer than the text that was asked for.
        """
        model: Any = self._loaded.model
        family = self._loaded.family
        inputs = family.encode(self._loaded.processor, [Prompt("", videos=[video]) for video in videos])
        inputs = inputs.to(model.device, dtype=model.dtype)
        outer = family.parts(model).outer
        others = {name: value for name, value in inputs.items() if name != "input_ids"}
        (layout, *_) = family.layouts(outer, [ids.cpu() for ids in inputs["input_ids"]], others)
        missing = self._text - (layout.length - len(layout.visual))
        if missing < 0:
            raise WinnowError(
                f"model.nominal.text={self._text} is too short: the template alone has {self._text - missing} tokens"
            )
        return self._loaded.number(self._lengthen(inputs, missing))

    def _lengthen(self, inputs: BatchFeature, missing: int) -> BatchFeature:
        """Insert tokens of text before the last one."""
        tokenizer: Any = self._loaded.processor.tokenizer
        words = tokenizer(TEXT, add_special_tokens=False)["input_ids"]
        filling = {"input_ids": (words * math.ceil(missing / len(words)))[:missing], "attention_mask": [1] * missing}
        shape = inputs["input_ids"].shape
        for name, value in inputs.items():
            if torch.is_tensor(value) and value.shape == shape:
                added = value.new_tensor(filling.get(name, [0] * missing)).expand(shape[0], -1)
                inputs[name] = torch.cat([value[:, :-1], added, value[:, -1:]], 1)
        return inputs


def frame_side(model: ModelConfig, loaded: Loaded) -> int:
    """Pixels along an edge of a frame that give the nominal number of tokens."""
    vision = model.arch["vision"]
    if loaded.family.any_size:
        return round(math.sqrt(model.nominal.tokens_per_frame)) * 2 * int(vision["patch"])
    views = model.nominal.frames // model.frames  # of a picture that is cut into tiles, and shown whole
    return int(vision["image"]) * max(1, math.isqrt(views))
