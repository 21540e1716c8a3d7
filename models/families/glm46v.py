"""GLM-4.6V: GLM-4.1V's tower, tokens and positions, with the time of a step to a tenth of a second, in words.

Hugging Face `glm46v`, here with the dense LLM of GLM-4.6V-Flash.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from transformers import Glm46VConfig, PretrainedConfig

from winnow.models.families.glm4v import Glm4v


class Glm46v(Glm4v):
    """See the module."""

    name = "glm46v"
    model_types = ("glm46v",)
    config_class: ClassVar[Callable[..., PretrainedConfig]] = Glm46VConfig
    released: ClassVar[str] = "Glm46V"
