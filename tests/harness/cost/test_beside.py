"""What a text tower or a pooling head beside the model costs is what torch counts of one."""

from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import CLIPTextConfig, CLIPTextModelWithProjection, SiglipVisionConfig, SiglipVisionModel

from winnow.harness.cost import method_ops
from winnow.harness.cost.method_ops import TEXT_BLOCKS, TEXT_TOKENS, TEXT_WIDTH, tower_ops
from winnow.harness.cost.op import NORM_FLOPS, SOFTMAX_FLOPS, Op
from winnow.harness.cost.vision import TowerShape
from winnow.models.loading.pooling_head import PoolingHead
from winnow.reducers.core.tower import Tower
from winnow.reducers.fastvid import FastVID
from winnow.reducers.trim import TRIM

CLIP = Tower(24, 23, 24, 24, cls=True)
ARCH = {"layers": 24, "hidden": 1024, "heads": 16, "mlp": 4096, "image": 336, "patch": 14}


def text_tower(frames: int = 1) -> Op:
    """The work at CLIP's patches."""
    shape = TowerShape.from_arch(ARCH, 576, cls_token=True)
    (op,) = [op for op in tower_ops(TRIM(), shape, CLIP, 32, frames) if op.name == "text_tower"]
    return op


def test_it_is_what_torch_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks, wide = 2, 24
    config = CLIPTextConfig(
        hidden_size=wide, intermediate_size=4 * wide, num_hidden_layers=blocks, num_attention_heads=2,
        projection_dim=wide, attn_implementation="eager",
    )  # fmt: skip
    monkeypatch.setattr(method_ops, "TEXT_BLOCKS", blocks)
    monkeypatch.setattr(method_ops, "TEXT_WIDTH", wide)
    with torch.no_grad(), FlopCounterMode(display=False) as seen:
        model: Any = CLIPTextModelWithProjection(config).eval()
        model(input_ids=torch.zeros(1, TEXT_TOKENS, dtype=torch.long))
        torch.zeros(576, 1024) @ torch.zeros(1024, wide) @ torch.zeros(wide, 1)
    assert text_tower().flops - NORM_FLOPS * 576 * 1024 == seen.get_total_flops()
    matrices = sum(p.numel() for name, p in model.named_parameters() if p.ndim == 2 and "embedding" not in name)
    assert text_tower().weight == 4 * (matrices + 1024 * wide)


def test_it_is_llavas_and_reads_the_question_once() -> None:
    assert (TEXT_BLOCKS, TEXT_WIDTH, TEXT_TOKENS) == (12, 768, 77)
    assert text_tower().flops == pytest.approx(14.2e9, rel=0.02)
    assert text_tower(4).flops - text_tower().flops == pytest.approx(3 * 576 * (2 * 1025 * 768 + NORM_FLOPS * 1024))


def test_a_head_is_what_torch_counts() -> None:
    """One block and the head on four frames of nine patches."""
    config = SiglipVisionConfig(
        hidden_size=16, intermediate_size=40, num_hidden_layers=1, num_attention_heads=2,
        image_size=16, attn_implementation="eager",
    )  # fmt: skip
    model: Any = SiglipVisionModel(config).eval()
    with FlopCounterMode(display=False) as seen:
        for _ in range(4):
            PoolingHead(model, 0).look(torch.zeros(9, 16))
    arch = {"layers": 3, "hidden": 16, "heads": 2, "mlp": 40, "image": 12, "patch": 4}
    shape, tower = TowerShape.from_arch(arch, 9, cls_token=False), Tower(3, 3, 3, 3, cls=False)
    (op,) = tower_ops(FastVID(variant="head", pooling_head="random"), shape, tower, 24, 4)
    small = SOFTMAX_FLOPS * 36 * (9 + 1) * 2 + NORM_FLOPS * 3 * 36 * 16
    assert op.name == "pooling_head" and op.flops - small == seen.get_total_flops()
    behind = [*model.encoder.layers.parameters(), *model.head.parameters()]
    assert op.weight == 4 * sum(p.numel() for p in behind if p.ndim == 2)
