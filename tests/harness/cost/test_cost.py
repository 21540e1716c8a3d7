"""The modelled cost reproduces the papers' columns, and torch's own count of a real layer."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winnow.harness.cost import LLMShape, Op, kv_bytes, physical
from winnow.harness.cost.decode import step_op
from winnow.harness.cost.hardware import hardware
from winnow.harness.cost.llm_viewer import layer_ops, prefill_flops
from winnow.harness.cost.memory import layer_bytes, peak_bytes, weight_bytes
from winnow.harness.cost.method_ops import llm_ops
from winnow.harness.cost.vision import TowerShape, tower_ops
from winnow.reducers.aim_merge import AIMMerge
from winnow.reducers.aim_prune import AIMPrune
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.layout import Grid, Width
from winnow.reducers.core.site import Site
from winnow.reducers.fastv import FastV

QWEN2_7B = LLMShape(layers=28, hidden=3584, heads=28, kv_heads=4, head_dim=128, mlp=18944, vocab=152064)


def aim(visual: int, text: int, depth: int, l1: int, l2: int) -> list[int]:
    """AIM's schedule as its calculator applies it: layer l1 already has the reduced count."""
    shares = (1 if i < l1 else max(0.0, 1 - (i - l1 + 1) / (l2 - l1)) for i in range(depth))
    return [int(share * visual + text) for share in shares]


def stepped(full: int, reduced: int, k: int, depth: int) -> list[int]:
    return [full] * k + [reduced] * (depth - k)


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


SIGLIP = TowerShape(26, 1152, 16, 4304, patches=729, pixels=588)
CLIP = TowerShape(23, 1024, 16, 4096, patches=576, pixels=588, extra=1)


@pytest.mark.parametrize(("tower", "frames", "tflop"), [(SIGLIP, 1, 0.643), (SIGLIP, 32, 20.6), (CLIP, 1, 0.367)])
def test_towers_of_the_specification(tower: TowerShape, frames: int, tflop: float) -> None:
    assert sum(op.flops for op in tower_ops(tower, frames)) / 1e12 == pytest.approx(tflop, rel=2e-3)


def test_fewer_patches_leave_a_cheaper_tower() -> None:
    halved = [729] * 12 + [364] * 14
    full, less = (sum(op.flops for op in tower_ops(SIGLIP, 1, kept)) for kept in (None, halved))
    assert 0.7 < less / full < 0.75


def test_merging_counts_as_the_paper_says_it_should() -> None:
    """Two halvings inside each of 32 frames at LLM width: 2.89 GFLOP; of all tokens at once AIM's printed 88.25."""
    width = Width(QWEN2_7B.hidden, QWEN2_7B.head_dim)
    merge, entrance = AIMMerge(ratio=0.25), Site.entrance(28)
    each, at_once = (merge.work(entrance, Grid(*grid), 6272, width) for grid in ((32, 196), (1, 6272)))
    assert (each / 1e9, at_once / 1e9) == (pytest.approx(2.889, abs=1e-3), pytest.approx(88.25, abs=5e-3))


def test_one_row_is_cheap_and_page_rank_is_not() -> None:
    visual = [6272] * 28
    spans = [Grid(32, 196)]
    last, text, rank = (
        sum(op.flops for op in llm_ops(reducer, QWEN2_7B, spans, visual, 100))
        for reducer in (FastV(), FastV(rows="text"), AIMPrune())
    )
    prefill = physical.prefill_flops(QWEN2_7B, [6372] * 28)
    assert 90 < text / last < 110 and last / prefill < 1e-5
    assert rank == 8 * (28 * 6372 * 6373 / 2 * (2 * 128 + 5 + 2 * 5))


def test_decoding_reads_weights_and_cache() -> None:
    """Reduction hardly shortens a step at batch 1: 9.33 ms to 9.13 ms on an A100 with 40 GB."""
    machine = hardware("a100_40g")
    full, less = (step_op(QWEN2_7B, tokens) for tokens in ([6372] * 28, aim(1568, 100, 28, 14, 22)))
    assert 1e3 * machine.seconds([full], "float16") == pytest.approx(9.33, abs=5e-3)
    assert 1e3 * machine.seconds([less], "float16") == pytest.approx(9.13, abs=5e-3)
    assert step_op(QWEN2_7B, [10] * 28, done=3) == step_op(QWEN2_7B, [13] * 28)


def test_eager_attention_needs_the_scores_at_its_peak() -> None:
    n = 6372
    eager, fused = (layer_bytes(QWEN2_7B, n, attn) for attn in ("eager", "sdpa"))
    assert eager > 28 * n * n * 6 > 8 * fused
    weights = weight_bytes(QWEN2_7B, tied=False)
    assert weights == 2 * (QWEN2_7B.parameters + 2 * 3584 * 152064)
    assert peak_bytes(QWEN2_7B, [n] * 28, weights) == weights + kv_bytes(QWEN2_7B, [n] * 28) + fused


@given(st.integers(1, 3000), st.integers(1, 3000), st.sampled_from(["sdpa", "eager"]))
def test_more_tokens_cost_more(a: int, b: int, attn: str) -> None:
    low, high = sorted((a, b))
    less, more = (physical.layer_ops(QWEN2_7B, n, attn) for n in (low, high))
    assert sum(op.flops for op in less) <= sum(op.flops for op in more)
    assert sum(op.bytes for op in less) <= sum(op.bytes for op in more)


def test_causal_attention_is_half_of_eager_and_a_token() -> None:
    eager, causal = (physical.prefill_flops(QWEN2_7B, [100] * 28, attn) for attn in ("eager", "sdpa"))
    assert eager - causal == 28 * (4 * 128 + 5) * 28 * 100 * 99 / 2
