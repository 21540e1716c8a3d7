"""Gemma 3: pictures that attend both ways, sliding layers, and both at once among the tokens that are left."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from calling import ask
from PIL import Image

from winnow import configs
from winnow.models.check import Case, invariants
from winnow.models.check.cases import ARCH, image_prompt, mixed_prompt, tiny_model, video_prompt
from winnow.models.engine import attach
from winnow.models.families import find_family
from winnow.models.families.prompt import Prompt
from winnow.models.loading.byte_tokenizer import byte_tokenizer
from winnow.models.loading.load import Loaded, load
from winnow.models.loading.random_weights import random_config
from winnow.models.loading.spec import ModelSpec
from winnow.reducers.aim_merge import AIMMerge
from winnow.reducers.aim_prune import AIMPrune
from winnow.reducers.core.base import Reducer
from winnow.reducers.core.errors import UnsupportedError
from winnow.reducers.core.schedule import K, Window
from winnow.reducers.fastv import FastV
from winnow.reducers.random import RandomDrop

WINDOW = 24
"""Tokens that a sliding layer sees: fewer than two pictures and their marks."""


@pytest.fixture(scope="module")
def narrow() -> Loaded:
    arch = ARCH | {"sliding_window": WINDOW}
    loaded = load(ModelSpec("gemma3", "", weights="random", scale="tiny", device="cpu", arch=arch))
    with torch.no_grad():
        for parameter in loaded.model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(6)
    return loaded


@pytest.mark.parametrize("name", ["gemma3_4b", "gemma3_12b", "gemma3_27b"])
@pytest.mark.parametrize("size", [(1920, 1080), (64, 64)])
def test_a_picture_of_any_size_has_256_tokens(name: str, size: tuple[int, int]) -> None:
    entry = yaml.safe_load((configs.FOLDER / "model" / f"{name}.yaml").read_text())
    family = find_family(entry["family"])
    config: Any = random_config(family, ModelSpec(entry["family"], "", "random", arch=entry["arch"]))
    image = Image.fromarray(np.zeros((*size[::-1], 3), np.uint8))
    inputs = family.encode(family.processor(config, byte_tokenizer()), [Prompt("what ?", images=[image])])
    ids = inputs["input_ids"][0]
    (span,) = family.layouts(SimpleNamespace(config=config), [ids], inputs)[0].spans
    assert (span.frames, span.rows, span.cols) == (1, 16, 16)
    assert torch.equal((ids == config.image_token_index).nonzero().flatten(), span.positions)
    assert torch.equal(inputs["token_type_ids"][0].nonzero().flatten(), span.positions)


@pytest.mark.parametrize(
    "reducer",
    [RandomDrop(ratio=0.4), RandomDrop(ratio=0.4, schedule=K(2)), AIMMerge(ratio=0.375, positions="compact")],
    ids=["entrance", "layer", "merged"],
)
@pytest.mark.parametrize("invariant", ["keep_everything", "oracle", "batch_is_singles"])
def test_windows_narrower_than_the_prompt(narrow: Loaded, reducer: Reducer, invariant: str) -> None:
    """Places count, in the window and in the picture, not survivors."""
    prompts = [video_prompt(), image_prompt(), mixed_prompt()]
    assert min(map(len, narrow.encode(prompts)["input_ids"])) > 2 * WINDOW
    invariants.INVARIANTS[invariant](Case(narrow, reducer, prompts))


def test_a_picture_attends_both_ways() -> None:
    """Told that no token is a picture's, the reduced model answers something else: the oracle is about something."""
    loaded: Any = tiny_model("gemma3", "sdpa")
    inputs = dict(loaded.encode([image_prompt()]))
    answers = []
    for kinds in (inputs["token_type_ids"], torch.zeros_like(inputs["token_type_ids"])):
        with torch.no_grad(), attach(loaded.model, RandomDrop(ratio=0.5), keys=["a"]) as trace:
            answers.append(loaded.model(**inputs | {"token_type_ids": kinds}).logits[0, -1])
        assert trace.prompts[0].visual_per_layer[0] == 4
    with torch.no_grad():
        plain = [
            loaded.model(**inputs | {"token_type_ids": kinds}).logits[0, -1]
            for kinds in (inputs["token_type_ids"], torch.zeros_like(inputs["token_type_ids"]))
        ]
    assert (plain[0] - plain[1]).abs().max() > 0.1
    assert torch.equal(*answers)


def test_who_does_not_tell_the_kinds_of_tokens_is_refused() -> None:
    loaded: Any = tiny_model("gemma3", "sdpa")
    inputs = dict(loaded.encode([image_prompt()]))
    del inputs["token_type_ids"]
    with attach(loaded.model, FastV(ratio=0.5)), pytest.raises(UnsupportedError, match="gemma3 needs token_type_ids"):
        ask(loaded.model, inputs)


def test_ranks_by_what_visual_tokens_attend_to_are_refused() -> None:
    loaded = tiny_model("gemma3", "sdpa")
    for method in (AIMPrune(schedule=Window(2, 5)), FastV(ratio=0.5, rows="all")):
        with pytest.raises(UnsupportedError, match="pays both ways here"), attach(loaded.model, method):
            pass
