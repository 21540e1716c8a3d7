"""What attention peaks at inside a model, and how far a layer moves its tokens, beside what the model returns."""

from typing import Any

import pytest
import torch
from calling import Reading
from torch import Tensor

from winnow.models.check.cases import image_prompt, tiny_model, video_prompt
from winnow.models.engine import Trunk, attach
from winnow.reducers.core.probes import Change, HighestRows, PeakRows


class Reader(Reading):
    """Of this module."""

    asked = (PeakRows("text"), PeakRows("visual"), HighestRows("text"), Change())
    seen = []  # noqa: RUF012


@pytest.mark.parametrize("family", ["llava", "qwen3_vl"])
def test_they_are_those_of_the_model(family: str) -> None:
    """Also where deepstack features come between two layers, and for methods that share their layers."""
    loaded: Any = tiny_model(family, "eager")
    layers = loaded.family.parts(loaded.model).layers
    inputs = loaded.family.encode(loaded.processor, [video_prompt(), image_prompt()])
    Reader.seen.clear()
    for trunk in (None, Trunk([Reader(ratio=0.3), Reader()])):
        for method in (Reader(),) if trunk is None else trunk.waiting[:]:
            weights: list[Tensor] = []
            handle = layers[1].self_attn.register_forward_hook(lambda m, a, out, to=weights: to.append(out[1]))
            with torch.no_grad(), attach(loaded.model, method, trunk=trunk):
                states = loaded.model(**inputs, output_hidden_states=trunk is None).hidden_states
            handle.remove()
            if trunk is None:
                moved, matrix = (states[2] - states[1]).norm(dim=-1), weights[0]
    assert len(Reader.seen) == 6
    for number, (layout, (text, visual, highest, change)) in enumerate(Reader.seen):
        start = matrix.shape[-1] - layout.length
        peaks = matrix[number % 2, :, start:, start:].amax(0)
        for rows, got in ((layout.question, text), (layout.visual, visual)):
            assert torch.allclose(got, peaks[rows].sum(0), atol=1e-5)
        assert torch.allclose(highest, peaks[layout.question].amax(0), atol=1e-6)
        assert torch.allclose(change, moved[number % 2, start:], atol=1e-4)
