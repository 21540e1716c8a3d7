"""The final norm that a method sees is the LLM's own."""

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from winnow.models.check.cases import image_prompt, tiny_model, video_prompt
from winnow.models.engine import attach
from winnow.reducers.core.base import Scorer
from winnow.reducers.core.reduction import View
from winnow.reducers.core.schedule import K


@dataclass(frozen=True)
class Reader(Scorer):
    """Remembers the states under the norm."""

    seen = []  # noqa: RUF012
    schedule: K = K(2)

    def score(self, view: View) -> Tensor:
        self.seen.append(view.norm(view.hidden))
        return torch.zeros(len(view.visual))


@pytest.mark.parametrize("family", ["llava", "qwen2_vl"])
def test_states_are_normed_as_in_front_of_the_head(family: str) -> None:
    loaded: Any = tiny_model(family, "sdpa")
    parts = loaded.family.parts(loaded.model)
    entered: list[Tensor] = []
    handle = parts.layers[2].register_forward_pre_hook(lambda module, args: entered.append(args[0]))
    Reader.seen.clear()
    with torch.no_grad(), attach(loaded.model, Reader(ratio=0.5)):
        loaded.model(**loaded.family.encode(loaded.processor, [video_prompt(), image_prompt()]))
    handle.remove()
    for row, found in zip(parts.llm.norm(entered[0]), Reader.seen, strict=True):
        assert torch.equal(row[len(row) - len(found) :], found)
