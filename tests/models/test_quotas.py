"""Quotas of each span and of the prompt mean the same on every family."""

from typing import Any

import pytest
import torch

from winnow.models.check.cases import mixed_prompt, tiny_model
from winnow.models.engine import attach
from winnow.models.families import FAMILIES
from winnow.reducers.fastv import FastV


@pytest.mark.parametrize("family", FAMILIES)
def test_quotas(family: str) -> None:
    loaded: Any = tiny_model(family, "sdpa")
    inputs = loaded.family.encode(loaded.processor, [mixed_prompt()])
    for scope in ("span", "prompt"):
        with torch.no_grad(), attach(loaded.model, FastV(ratio=0.3, scope=scope)) as trace:
            loaded.model(**inputs)
        (told,) = trace.prompts
        stays = told.layout.visual[told.last_layer == len(told.visual_per_layer) - 1]
        kept = [int(torch.isin(span.positions, stays).sum()) for span in told.layout.spans]
        if scope == "span":
            assert kept == [max(1, round(0.3 * len(span))) for span in told.layout.spans]
        else:
            assert sum(kept) == round(0.3 * len(told.layout.visual))
