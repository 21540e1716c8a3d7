"""The convention behind the FLOPs columns of the papers: LLM-Viewer, as AIM's fork applies it.

Attention is counted in full (n x n, not causal), the LM head for one position and with one operation per multiply-add,
softmax with 5 and a norm with 7 operations per element. Not counted: vision tower, projector, the reducer's own work,
embedding, RoPE, biases and the final norm. Batch 1, eager attention.

Source: github.com/hahnyuan/LLM-Viewer and `other_packages/LLM-Viewer` in AIM's repository; reproduces the FLOPs of
AIM's tables (poster tables, appendix A to E) and PruMerge's Table 2.
"""

from collections.abc import Sequence
from functools import lru_cache

from harness.cost.op import Op
from harness.cost.shape import LLMShape
from reducers.errors import WinnowError

LINEAR_FLOPS, SOFTMAX_FLOPS, NORM_FLOPS = 2, 5, 7


def _linear(name: str, n: int, inputs: int, outputs: int, width: int, *, cached: bool = False) -> Op:
    """Cost of a linear layer on n tokens; a `cached` one writes its output to the KV cache."""
    written = n * outputs * width
    return Op(
        name,
        flops=LINEAR_FLOPS * n * inputs * outputs,
        weight=inputs * outputs * width,
        load=n * inputs * width,
        store=0 if cached else written,
        kv_store=written if cached else 0,
    )


def _linears(shape: LLMShape, n: int, width: int) -> list[Op]:
    hidden, queries, keys = shape.hidden, shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    return [
        _linear("q_proj", n, hidden, queries, width),
        _linear("k_proj", n, hidden, keys, width, cached=True),
        _linear("v_proj", n, hidden, keys, width, cached=True),
        _linear("out_proj", n, queries, hidden, width),
        _linear("gate_proj", n, hidden, shape.mlp, width),
        _linear("up_proj", n, hidden, shape.mlp, width),
        _linear("down_proj", n, shape.mlp, hidden, width),
    ]


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
    return [*_linears(shape, n, width), *_attention(shape, n, width), *_elementwise(shape, n, width, mlp_add)]


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
    _check_depth(shape, tokens_per_layer)
    return sum(_layer_flops(shape, int(n), mlp_add) for n in tokens_per_layer) + head_op(shape).flops


def kv_bytes(shape: LLMShape, tokens_per_layer: Sequence[int], bytes_per_element: int = 2) -> int:
    """Bytes of the KV cache after the prefill: keys and values of every layer's tokens.

    Parameters
    ----------
    shape : LLMShape
        The LLM.
    tokens_per_layer : sequence of int
        Tokens, visual and text, that each layer processes; one entry per layer.
    bytes_per_element : int
        2 for half precision, 4 for float32.

    Raises
    ------
    WinnowError
        When the list does not have one entry per layer.
    """
    _check_depth(shape, tokens_per_layer)
    return 2 * shape.kv_heads * shape.head_dim * bytes_per_element * sum(map(int, tokens_per_layer))


def _check_depth(shape: LLMShape, tokens_per_layer: Sequence[int]) -> None:
    if len(tokens_per_layer) != shape.layers:
        raise WinnowError(
            f"tokens_per_layer has {len(tokens_per_layer)} entries but the LLM has {shape.layers} layers: "
            "give one number of tokens per layer"
        )
