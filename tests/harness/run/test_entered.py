"""What entered the LLM: sinks by their norm, and the effective rank against singular values taken one by one."""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from winnow.harness.run.entered import MOST, effective_rank, entering, look_at
from winnow.models.check.cases import image_prompt, tiny_model
from winnow.models.engine import attach
from winnow.reducers.core.layout import Layout, Span
from winnow.reducers.random import RandomDrop


@pytest.mark.parametrize("seed", range(5))
def test_the_effective_rank_is_that_of_the_singular_values(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, width = rng.integers(1, 40, 2)
    vectors = rng.normal(size=(n, width)) @ np.diag(rng.exponential(size=width))
    sizes = np.linalg.svd(vectors, compute_uv=False)
    entropy = -sum(s / sizes.sum() * math.log(s / sizes.sum()) for s in sizes if s > 0)
    assert effective_rank(torch.tensor(vectors)) == pytest.approx(math.exp(entropy), rel=1e-4)


def test_as_many_directions_as_there_are() -> None:
    assert effective_rank(torch.eye(7)) == pytest.approx(7)
    assert effective_rank(torch.ones(7, 5)) == pytest.approx(1, abs=1e-3)
    assert effective_rank(torch.eye(4).repeat_interleave(100, 0)) == pytest.approx(4, abs=1e-3)
    assert effective_rank(torch.eye(3 * MOST)) == pytest.approx(MOST)
    assert effective_rank(torch.zeros(3, 3)) is None and effective_rank(torch.zeros(0, 3)) is None


def test_sinks_are_told_by_their_norm_in_padded_prompts() -> None:
    span = Span(torch.tensor([1, 2, 3, 4, 5]), 1, 1, 5)
    path: Any = SimpleNamespace(
        layout=Layout(7, (span,)), last_layer=torch.tensor([3, 1, 3, 3, -1]), visual_per_layer=[5, 5, 3, 3]
    )
    embeds = torch.full((1, 9, 2), 100.0)  # two of padding
    embeds[0, 3:8] = torch.tensor([[1.0, 0], [0, 1], [0, 5], [0, 2], [1, 0]])
    (found,) = look_at(embeds, [path])
    assert found.sinks == [2]
    assert found.rank == effective_rank(torch.tensor([[1.0, 0], [0, 5], [0, 2]]))
    blank: Any = SimpleNamespace(layout=Layout(7, ()), last_layer=torch.zeros(0), visual_per_layer=[0])
    assert look_at(embeds, [blank]) == [([], None)]


def test_what_entered_is_what_no_method_has_touched() -> None:
    loaded, seen = tiny_model("llava", "sdpa"), []
    model: Any = loaded.model
    inputs = loaded.encode([image_prompt()])
    for method in (None, RandomDrop(ratio=0.25)):
        with torch.inference_mode(), entering(loaded) as embeds:
            if method is None:
                model(**inputs)
            else:
                with attach(model, method, keys=["a"]):
                    model.generate(**inputs, max_new_tokens=2, min_new_tokens=2, pad_token_id=0)
        seen += embeds
    assert seen[0].shape[1] == inputs["input_ids"].shape[1] and torch.equal(*seen)
    assert not any(module._forward_pre_hooks for module in model.modules())
