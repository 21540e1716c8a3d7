"""The modelled cost reproduces the papers' columns, and torch's own count of a real layer."""

from collections.abc import Callable

import pytest

from harness.cost import LLMShape, Op, kv_bytes, physical, prefill_flops
from harness.cost.llm_viewer import head_op, layer_ops
from reducers.errors import WinnowError

QWEN2_7B = LLMShape(layers=28, hidden=3584, heads=28, kv_heads=4, head_dim=128, mlp=18944, vocab=152064)
VICUNA_7B = LLMShape(layers=32, hidden=4096, heads=32, kv_heads=32, head_dim=128, mlp=11008, vocab=32000)


def aim(visual: int, text: int, depth: int, l1: int, l2: int) -> list[int]:
    """AIM's schedule as its calculator applies it: layer l1 already has the reduced count."""
    shares = (1 if i < l1 else max(0.0, 1 - (i - l1 + 1) / (l2 - l1)) for i in range(depth))
    return [int(share * visual + text) for share in shares]


def stepped(full: int, reduced: int, k: int, depth: int) -> list[int]:
    return [full] * k + [reduced] * (depth - k)


# Name, shape, tokens per layer, published TFLOP to three digits. AIM's Qwen2 rows leave out the second residual add.
PUBLISHED = [
    ("LLaVA-OV-7B, 32 frames", QWEN2_7B, [32 * 196 + 100] * 28, 99.627),
    ("LongVA-7B, 128 frames", QWEN2_7B, [128 * 144 + 100] * 28, 381.089),
    ("Qwen2-VL-7B, 16x256", QWEN2_7B, [16 * 256 + 100] * 28, 61.904),
    ("AIM merging 25 %", QWEN2_7B, [32 * 49 + 100] * 28, 22.899),
    ("AIM 14/22", QWEN2_7B, aim(32 * 49, 100, 28, 14, 22), 14.757),
    ("FastV on LLaVA-OV", QWEN2_7B, stepped(6372, 32 * 39 + 100, 1, 28), 21.235),
    ("VTW on LLaVA-OV", QWEN2_7B, stepped(6372, 100, 6, 28), 22.378),
    ("LLaVA-1.5-7B", VICUNA_7B, [576 + 40] * 32, 8.181),
    ("FastV on LLaVA-1.5", VICUNA_7B, stepped(616, 144 + 40, 1, 32), 2.582),
    ("AIM on LLaVA-1.5", VICUNA_7B, aim(72, 40, 32, 13, 21), 1.003),
]


@pytest.mark.parametrize(
    ("shape", "tokens", "tflop"), [row[1:] for row in PUBLISHED], ids=[row[0] for row in PUBLISHED]
)
def test_published_flops(shape: LLMShape, tokens: list[int], tflop: float) -> None:
    assert prefill_flops(shape, tokens, mlp_add=shape is VICUNA_7B) / 1e12 == pytest.approx(tflop, abs=6e-4)


def roofline_ms(shape: LLMShape, tokens: list[int], mlp_add: bool) -> float:
    """Prefill time on AIM's A100 entry (1555 GB/s, 312 TFLOP/s): the slower of compute and traffic, summed."""
    ops = [op for n in tokens for op in layer_ops(shape, n, mlp_add)] + [head_op(shape)]
    return 1e3 * sum(max(op.flops / 312e12, op.bytes / 1555e9) for op in ops)


@pytest.mark.parametrize(
    ("shape", "tokens", "published"),
    [
        (QWEN2_7B, [6372] * 28, 439.578),
        (QWEN2_7B, aim(1568, 100, 28, 14, 22), 55.028),
        (VICUNA_7B, [616] * 32, 29.297),
    ],
)
def test_published_times_follow_from_flops_and_bytes(shape: LLMShape, tokens: list[int], published: float) -> None:
    assert roofline_ms(shape, tokens, shape is VICUNA_7B) == pytest.approx(published, abs=1e-3)


@pytest.mark.parametrize(
    ("tokens", "megabytes"),
    [([6372] * 28, 365), (aim(1568, 100, 28, 14, 22), 62), (stepped(6372, 1348, 1, 28), 88)],
)
def test_kv_bytes(tokens: list[int], megabytes: int) -> None:
    assert round(kv_bytes(QWEN2_7B, tokens) / 1e6) == megabytes
    assert kv_bytes(QWEN2_7B, tokens, bytes_per_element=4) == 2 * kv_bytes(QWEN2_7B, tokens)
    assert kv_bytes(QWEN2_7B, tokens) == sum(op.kv_store for n in tokens for op in layer_ops(QWEN2_7B, n))


@pytest.mark.parametrize(("attn", "tflop"), [("sdpa", 91.419), ("eager", 99.646)])
def test_physical_flops_of_llava_onevision(attn: str, tflop: float) -> None:
    """Spelled out by hand."""
    n, scores = 6372, (6372 * 6373 / 2 if attn == "sdpa" else 6372**2)
    attention = 28 * (4 * 128 + 5) * scores
    linears = 2 * n * (2 * 3584**2 + 2 * 3584 * 512 + 3 * 3584 * 18944)
    rest = n * (2 * 7 * 3584 + 2 * 3584 + 5 * 18944 + 3 * 32 * 128)
    expected = 28 * (attention + linears + rest) + 2 * 3584 * 152064
    found = physical.prefill_flops(QWEN2_7B, [n] * 28, attn)
    assert found == expected
    assert found / 1e12 == pytest.approx(tflop, abs=1e-3)


def test_mlp_add_is_one_operation_per_element() -> None:
    tokens = [10] * 28
    difference = prefill_flops(QWEN2_7B, tokens) - prefill_flops(QWEN2_7B, tokens, mlp_add=False)
    assert difference == 28 * 10 * QWEN2_7B.hidden


@pytest.mark.parametrize("tokens", [7, 33])
def test_matmuls_match_the_count_of_torch_on_a_real_layer(tokens: int) -> None:
    import torch
    from torch.utils.flop_counter import FlopCounterMode
    from transformers import Qwen2Config
    from transformers.models.qwen2.modeling_qwen2 import Qwen2DecoderLayer

    shape = LLMShape(layers=1, hidden=48, heads=6, kv_heads=2, head_dim=8, mlp=80, vocab=100)
    config = Qwen2Config(
        hidden_size=48, num_attention_heads=6, num_key_value_heads=2, intermediate_size=80, num_hidden_layers=1
    )
    config._attn_implementation = "eager"
    layer = Qwen2DecoderLayer(config, layer_idx=0)
    rope = torch.ones(1, tokens, 8), torch.zeros(1, tokens, 8)
    with FlopCounterMode(display=False) as counter:
        layer(torch.randn(1, tokens, 48), position_embeddings=rope)

    for ops in (layer_ops(shape, tokens), physical.layer_ops(shape, tokens, attn="eager")):
        assert counter.get_total_flops() == sum(op.flops for op in ops if op.name.endswith(("_proj", "_matmul")))


def test_shape_from_arch_derives_the_head_width() -> None:
    arch = {"layers": 28, "hidden": 3584, "heads": 28, "kv_heads": 4, "mlp": 18944, "vocab": 152064, "tied": False}
    assert LLMShape.from_arch(arch) == QWEN2_7B
    assert LLMShape.from_arch({**arch, "head_dim": 64}).head_dim == 64


def test_bytes_of_an_operator_are_the_sum_of_its_columns() -> None:
    assert Op("x", 1, weight=1, load=2, store=4, kv_load=8, kv_store=16).bytes == 31


@pytest.mark.parametrize("cost", [prefill_flops, kv_bytes, physical.prefill_flops])
def test_a_list_of_another_depth_is_refused(cost: Callable[[LLMShape, list[int]], float]) -> None:
    with pytest.raises(WinnowError, match="27 entries but the LLM has 28 layers"):
        cost(QWEN2_7B, [1] * 27)
