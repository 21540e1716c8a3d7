"""Video LLMs that transformers does not have, composed of its modules: tower, projector, pooling, LLM.

One small class serves them all: what differs between PLLaVA, VILA1.5, LongVA and LLaVA-Video are the fields of
`ComposedConfig`. Importing this package makes the Auto classes know it.
"""

from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor

from winnow.models.composed.config import ComposedConfig
from winnow.models.composed.model import ComposedForConditionalGeneration
from winnow.models.composed.processor import ComposedProcessor

AutoConfig.register(ComposedConfig.model_type, ComposedConfig, exist_ok=True)
AutoModelForImageTextToText.register(ComposedConfig, ComposedForConditionalGeneration, exist_ok=True)
AutoProcessor.register(ComposedConfig, ComposedProcessor, exist_ok=True)

__all__ = ["ComposedConfig", "ComposedForConditionalGeneration", "ComposedProcessor"]
