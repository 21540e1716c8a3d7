"""SigLIP's pooling head beside a model: it goes on where the model's tower ends, as the whole SigLIP does."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import SiglipVisionConfig, SiglipVisionModel

from winnow.models.check.cases import tiny_model, video_prompt
from winnow.models.engine import attach
from winnow.models.loading.pooling_head import load_pooling_head
from winnow.reducers.core.entrance import Chooser
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.layout import Span
from winnow.reducers.core.merger import told_by_tower
from winnow.reducers.core.reduction import View
from winnow.reducers.core.tower import PooledByHead, Tower, TowerProbe

HIDDEN, USED = 32, 3


@dataclass(frozen=True)
class Reader(Chooser):
    """Remembers what the head said."""

    seen = []  # noqa: RUF012

    def tower_probes(self, tower: Tower) -> tuple[tuple[TowerProbe, int], ...]:
        return ((PooledByHead("random"), tower.used),)

    def choose(self, tokens: Tensor, span: Span, view: View) -> Tensor:
        self.seen.append(told_by_tower(view)[-1][span.positions].unflatten(0, (span.frames, -1)))
        return torch.arange(len(tokens))[: self.count(view.site, span.grid, len(tokens))]


@pytest.fixture(scope="module")
def siglip() -> Any:
    """One block more than the models' towers have."""
    sizes: dict[str, Any] = {"hidden_size": HIDDEN, "intermediate_size": 64, "num_attention_heads": 4}
    torch.manual_seed(3)
    model: Any = SiglipVisionModel(SiglipVisionConfig(**sizes, num_hidden_layers=USED + 1, image_size=12, patch_size=4))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) / 5)
    return model.eval()


@pytest.fixture(autouse=True)
def nothing_loaded() -> Iterator[None]:
    yield
    load_pooling_head.cache_clear()


@torch.no_grad()
def test_it_goes_on_where_the_tower_ends(siglip: Any, tmp_path: Path) -> None:
    siglip.save_pretrained(tmp_path)
    head = load_pooling_head(str(tmp_path), HIDDEN, USED, "cpu")
    whole = siglip(torch.randn(2, 3, 12, 12), output_hidden_states=True)
    for frame in range(2):
        said = head.look(whole.hidden_states[USED][frame])
        assert torch.allclose(said[:, 1:], whole.pooler_output[frame].expand(9, -1), atol=1e-5)
        states = whole.last_hidden_state[frame : frame + 1]
        attention = siglip.head.attention(siglip.head.probe, states, states)[1]
        assert torch.allclose(said[:, 0], attention[0, 0], atol=1e-6)
    with pytest.raises(WinnowError, match=f"behind {USED + 1} blocks of width {HIDDEN}, .* has {USED} of width 48"):
        load_pooling_head(str(tmp_path), 48, USED, "cpu")
    with pytest.raises(WinnowError, match=f"has {USED + 2} of width {HIDDEN}"):
        load_pooling_head(str(tmp_path), HIDDEN, USED + 2, "cpu")


@torch.no_grad()
def test_methods_find_it_at_each_token_pooled_as_the_model_pools() -> None:
    loaded: Any = tiny_model("llava_onevision", "sdpa")
    outer, inputs, features = loaded.model.model, loaded.encode([video_prompt()]), list[Tensor]()
    projector = loaded.family.parts(loaded.model).projector
    Reader.seen.clear()
    with attach(loaded.model, Reader(ratio=0.5)):
        handle = projector.register_forward_pre_hook(lambda module, args: features.append(args[0]))
        loaded.model(**inputs)
        handle.remove()
    (seen,), (frames,) = Reader.seen, features
    head = load_pooling_head("random", frames.shape[2], loaded.family.tower(loaded.model.config).used, "cpu")
    for found, state in zip(seen, frames.flatten(0, -3), strict=True):
        said = head.look(state)
        assert torch.allclose(found, outer.apply_pooling(said[None])[0], atol=1e-5)
        assert torch.allclose(found[:, 1:], said[:1, 1:].expand(len(found), -1), atol=1e-4)  # one vector a frame
    assert not torch.allclose(seen[0, 0, 1:], seen[1, 0, 1:], atol=1e-3)
