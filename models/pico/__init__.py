"""pico: a small vision-language model that Winnow trains itself, and the synthetic world that it knows."""

from winnow.models.pico.build import WEIGHTS, build_config, build_model, build_processor, build_tokenizer
from winnow.models.pico.questions import Question, ask
from winnow.models.pico.shots import Shot, sample_shot
from winnow.models.pico.world import Scene, Thing, render, sample_scene

__all__ = [
    "WEIGHTS",
    "Question",
    "Scene",
    "Shot",
    "Thing",
    "ask",
    "build_config",
    "build_model",
    "build_processor",
    "build_tokenizer",
    "render",
    "sample_scene",
    "sample_shot",
]
