"""The convention behind the FLOPs columns of the papers: LLM-Viewer, as AIM's fork applies it.

Attention is counted in full (n x n, not causal), the LM head for one position and with one operation per multiply-add,
softmax with 5 and a norm with 7 operations per element. Not counted: vision tower, projector, the reducer's own work,
embedding, RoPE, biases and the final norm. Batch 1, eager attention.

Source: github.com/hahnyuan/LLM-Viewer and `other_packages/LLM-Viewer` in AIM's repository; reproduces the FLOPs of
AIM's tables (poster tables, appendix A to E) and PruMerge's Table 2.
"""

from collections.abc import Sequence
from functools import lru_cache

from harness.cost.op import LINEAR_FLOPS, NORM_FLOPS, SOFTMAX_FLOPS, Op
from harness.cost.shape import LLMShape, check_depth, linears


def _attention(shape: LLMShape, n: int, width: int) -> list[Op]:
    """Cost of eager attention; the queries that qk reads are charged with the width of the keys, as in LLM-Viewer."""
    scores, product = n * n * shape.heads, LINEAR_FLOPS * n * n * shape.heads * shape.head_dim
    queries, keys = n * shape.heads * shape.head_dim * width, n * shape.kv_heads * shape.head_dim * width
    return [
        Op("qk_matmul", product, load=keys, store=scores * width, kv_load=keys),
        Op("softmax", SOFTMAX_FLOPS * scores, load=scores * width, store=scores * width),
        Op("sv_matmul", product, load=scores * width, store=queries, kv_load=keys),
    ]


def _elementwise(shape: LLMShape, n: int, width: int, mlp_add: bool) -> list[Op]:
    """Cost of norms, residual adds and activation; the activation is charged on hidden, not MLP width, as there."""
    size = n * shape.hidden
    moved = {"load": size * width, "store": size * width}
    adds = ["attn_add", "mlp_add"] if mlp_add else ["attn_add"]
    return [
        *(Op(name, NORM_FLOPS * size, **moved) for name in ("attn_norm", "mlp_norm")),
        *(Op(name, size, **moved) for name in adds),
        Op("mlp_act", 2 * size, load=2 * size * width, store=size * width),
    ]


def layer_ops(shape: LLMShape, n: int, mlp_add: bool = True, width: int = 2) -> list[Op]:
    """List the operators of one decoder layer in the prefill of `n` tokens.

    Parameters
    ----------
    shape : LLMShape
        The LLM.
    n : int
        Tokens that the layer processes, visual and text.
    mlp_add : bool
        Count the second residual add. AIM's tables leave it out for Qwen2 and count it for Vicuna and Qwen-VL.
    width : int
        Bytes per element of weights, activations and KV cache.
    """
    return [*linears(shape, n, width), *_attention(shape, n, width), *_elementwise(shape, n, width, mlp_add)]


def head_op(shape: LLMShape, width: int = 2) -> Op:
    """Cost of the LM head, once per prompt: one position, one operation per multiply-add (LLM-Viewer's exception)."""
    size = shape.hidden * shape.vocab
    return Op("lm_head", size, weight=size * width, load=shape.hidden * width, store=shape.vocab * width)


@lru_cache(maxsize=65536)
def _layer_flops(shape: LLMShape, n: int, mlp_add: bool) -> float:
    return sum(op.flops for op in layer_ops(shape, n, mlp_add))


def prefill_flops(shape: LLMShape, tokens_per_layer: Sequence[int], mlp_add: bool = True) -> float:
    """Floating-point operations of the LLM in one prefill.

    Parameters
    ----------
    shape : LLMShape
        The LLM.
    tokens_per_layer : sequence of int
        Tokens, visual and text, that each layer processes; one entry per layer.
    mlp_add : bool
        Count the second residual add; see `layer_ops`.

    Raises
    ------
    WinnowError
        When the list does not have one entry per layer.
    """
    check_depth(shape, tokens_per_layer)
    return sum(_layer_flops(shape, int(n), mlp_add) for n in tokens_per_layer) + head_op(shape).flops
