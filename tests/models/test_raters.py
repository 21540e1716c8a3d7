"""What raters attend to inside a model, beside the attention matrices that it returns."""

import math
from typing import Any

import pytest
import torch
from calling import Reading
from torch import Tensor

from winnow.models.check.cases import image_prompt, tiny_model, video_prompt
from winnow.models.engine import attach
from winnow.models.families import find_family
from winnow.models.families.support import impossible
from winnow.reducers.core.probes import Raters
from winnow.reducers.sparsevlm import SparseVLM


class Reader(Reading):
    """Of this module."""

    asked = (Raters(), Raters(2, corrected=True))
    seen = []  # noqa: RUF012


def test_it_is_the_attention_that_the_model_returns() -> None:
    loaded: Any = tiny_model("llava", "eager")
    parts = loaded.family.parts(loaded.model)
    entered: list[Tensor] = []
    weights: list[Tensor] = []
    handles = [
        parts.llm.register_forward_pre_hook(lambda m, a, kw: entered.append(kw["inputs_embeds"]), with_kwargs=True),
        parts.layers[1].self_attn.register_forward_hook(lambda m, a, output: weights.append(output[1])),
    ]
    Reader.seen.clear()
    with torch.no_grad(), attach(loaded.model, Reader()):
        loaded.model(**loaded.family.encode(loaded.processor, [video_prompt(), image_prompt()]))
    for handle in handles:
        handle.remove()
    config, scaling = parts.llm.config, parts.layers[1].self_attn.scaling
    width = parts.layers[1].self_attn.head_dim
    theta = config.rope_parameters["rope_theta"]
    turns = torch.tensor([theta ** (-2 * i / width) for i in range(width // 2)], dtype=torch.double)
    for number, (layout, (plain, corrected)) in enumerate(Reader.seen):
        start = entered[0].shape[1] - layout.length
        state = entered[0][number, start:].double()
        matrix = weights[0][number, :, start:, start:].double()
        share = (state[layout.visual] @ state[layout.question].T).softmax(1).mean(0)
        rows = layout.question[share > share.mean()]
        assert torch.allclose(plain, matrix[:, rows].mean((0, 1)).float(), atol=1e-5)
        apart = rows[:, None] - torch.arange(layout.length)
        bias = 2 * (apart[..., None] * turns).cos().sum(-1) * scaling
        fair = matrix[:, rows] / bias
        best = fair[:, :, layout.visual].sum((1, 2)).topk(2).indices
        assert torch.allclose(corrected, fair[best].mean((0, 1)).float(), rtol=1e-3, atol=1e-4)
        assert math.isclose(scaling, width**-0.5)
    assert len(Reader.seen) == 2


@pytest.mark.parametrize("family", ["qwen2_vl", "qwen3_vl"])
def test_the_correction_knows_one_position(family: str) -> None:
    why = impossible(find_family(family), SparseVLM(version="+"), 32)
    assert why == "corrects attention by the position of a token, of which M-RoPE has three"
