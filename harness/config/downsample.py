"""``downsample.frames`` and ``downsample.pixels``: as few tokens as a method leaves, by less input."""

from __future__ import annotations

from dataclasses import replace

from winnow.harness.config.schema import DownsampleConfig, ModelConfig
from winnow.reducers.core.errors import WinnowError


def check_downsample(asked: DownsampleConfig, model: ModelConfig) -> DownsampleConfig:
    """Refuse factors that would not divide the tokens by as much.

    Raises
    ------
    WinnowError
        Names the factor and the choices.
    """
    if asked.pixels < 1:
        raise WinnowError(f"downsample.pixels={asked.pixels} is not allowed: choose 1 or more")
    both = (model.frames, model.nominal.frames)
    if asked.frames < 1 or any(number % asked.frames for number in both):
        choices = [f for f in range(1, model.frames + 1) if not any(number % f for number in both)]
        raise WinnowError(
            f"downsample.frames={asked.frames} does not divide the {model.frames} frames of model={model.name}: "
            f"choose {' | '.join(map(str, choices))}"
        )
    return asked


def downsample(model: ModelConfig, by: DownsampleConfig) -> ModelConfig:
    """Describe the model as it sees less: fewer frames a video, a smaller pixel budget, a shorter nominal prompt."""
    nominal = replace(
        model.nominal,
        frames=model.nominal.frames // by.frames,
        tokens_per_frame=max(1, model.nominal.tokens_per_frame // by.pixels),
    )
    return replace(model, frames=model.frames // by.frames, pixels=model.pixels * by.pixels, nominal=nominal)
