"""Traffic and operations of a decoder layer in closed form; a fused kernel's passes over keys and values."""

import pytest

from winnow.harness.cost import llm_viewer, physical
from winnow.harness.cost.op import Op, linear
from winnow.harness.cost.shape import LLMShape

LLM = LLMShape(layers=28, hidden=3584, heads=28, kv_heads=4, head_dim=128, mlp=18944, vocab=152064)


def by_name(ops: list[Op]) -> dict[str, Op]:
    assert len({op.name for op in ops}) == len(ops)
    return {op.name: op for op in ops}


def test_pairs() -> None:
    assert (physical.pairs(5, causal=True), physical.pairs(5, causal=False)) == (1 + 2 + 3 + 4 + 5, 25)


@pytest.mark.parametrize(
    ("n", "passes"),
    [(1, 1), (128, 1), (129, 1.5), (256, 1.5), (6372, (50 + 1) / 2)],
)
def test_a_causal_kernel_streams_keys_up_to_the_diagonal(n: int, passes: float) -> None:
    """Tile i of 128 queries reads i + 1 tiles of keys: on the average half of all, and half a tile."""
    fused = by_name(physical.layer_ops(LLM, n))["fused_attention"]
    keys, queries = 2 * n * 4 * 128, 2 * n * 28 * 128
    assert (fused.kv_load, fused.load, fused.store) == (2 * passes * keys, queries, queries)
    assert fused.flops == (4 * 128 + 5) * 28 * n * (n + 1) / 2


def test_eager_attention_moves_its_scores_and_reads_keys_and_values_once() -> None:
    n, ops = 6372, by_name(physical.layer_ops(LLM, 6372, "eager"))
    keys, queries, scores = 2 * n * 4 * 128, 2 * n * 28 * 128, 2 * 28 * n * n
    assert (ops["qk_matmul"].load, ops["qk_matmul"].store, ops["qk_matmul"].kv_load) == (queries, scores, keys)
    assert (ops["softmax"].load, ops["softmax"].store) == (scores, scores)
    assert (ops["sv_matmul"].load, ops["sv_matmul"].store, ops["sv_matmul"].kv_load) == (scores, queries, keys)


def test_the_other_operators_of_a_layer() -> None:
    n, ops = 1000, by_name(physical.layer_ops(LLM, 1000))
    size = n * 3584
    assert {name: op.flops for name, op in ops.items() if not name.endswith("_proj") and "attention" not in name} == {
        "attn_norm": 7 * size, "mlp_norm": 7 * size, "attn_add": size, "mlp_add": size,
        "mlp_act": 5 * n * 18944, "rope": 3 * n * 32 * 128,
    }  # fmt: skip
    assert ops["mlp_add"].bytes == 3 * 2 * size and ops["mlp_norm"].bytes == 2 * 2 * size
    assert ops["mlp_act"].bytes == 3 * 2 * n * 18944 and ops["rope"].bytes == 2 * 2 * n * 32 * 128
    sizes = {"q_proj": (3584, 3584), "k_proj": (3584, 512), "v_proj": (3584, 512), "out_proj": (3584, 3584),
             "gate_proj": (3584, 18944), "up_proj": (3584, 18944), "down_proj": (18944, 3584)}  # fmt: skip
    for name, (a, b) in sizes.items():
        assert ops[name] == linear(name, n, a, b, 2, cached=name in ("k_proj", "v_proj"))


def test_a_linear_layer() -> None:
    plain, cached = linear("x", 10, 3, 5, 2), linear("x", 10, 3, 5, 2, cached=True)
    assert plain == Op("x", 2 * 10 * 3 * 5, weight=2 * 15, load=2 * 30, store=2 * 50)
    assert cached == Op("x", 2 * 10 * 3 * 5, weight=2 * 15, load=2 * 30, kv_store=2 * 50)


def test_the_head_sees_one_position() -> None:
    size = 3584 * 152064
    assert physical.head_op(LLM) == Op("lm_head", 2 * size, weight=2 * size, load=2 * 3584, store=2 * 152064)
    assert llm_viewer.head_op(LLM, weight_width=1) == Op("lm_head", size, weight=size, load=2 * 3584, store=2 * 152064)


def test_the_papers_convention_differs_where_its_docstring_says() -> None:
    n = 1000
    size, keys, queries, scores = n * 3584, 2 * n * 512, 2 * n * 3584, 2 * 28 * n * n
    ops = by_name(llm_viewer.layer_ops(LLM, n))
    assert ops["qk_matmul"] == Op("qk_matmul", 2 * n * n * 3584, load=keys, store=scores, kv_load=keys)
    assert ops["softmax"] == Op("softmax", 5 * 28 * n * n, load=scores, store=scores)
    assert ops["sv_matmul"] == Op("sv_matmul", 2 * n * n * 3584, load=scores, store=queries, kv_load=keys)
    assert ops["mlp_act"] == Op("mlp_act", 2 * size, load=4 * size, store=2 * size)
    assert ops["mlp_add"] == Op("mlp_add", size, load=2 * size, store=2 * size) and "rope" not in ops
    assert "mlp_add" not in by_name(llm_viewer.layer_ops(LLM, n, mlp_add=False))
    fused = by_name(llm_viewer.layer_ops(LLM, n, fused=True))["fused_attention"]
    assert fused == Op("fused_attention", 4 * n * n * 3584 + 5 * 28 * n * n, 0, queries, 2 * scores, 2 * 8 * keys)
