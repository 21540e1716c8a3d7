"""The convention behind the cost columns of the papers: LLM-Viewer, as AIM's fork applies it, quirks included.

What it counts otherwise than `physical`, by name:

- full attention: n x n scores, though the mask is causal;
- lm_head: one operation per multiply-add, where all other products count two;
- mlp_add: AIM's Qwen2 rows leave the second residual add out (an option there, a parameter here);
- mlp_act: SwiGLU charged on the hidden width instead of the MLP's, 2 operations instead of 5;
- query load: the queries that QK reads are charged with the width of the keys (differs under grouped queries);
- residual load: one of the two operands;
- fused store: fused attention stores two score matrices, which it exists to avoid;
- left out: vision tower, projector, the method's own work, embedding, RoPE, biases and the final norm.

Linear attention, which the convention does not know, counts as in `physical`.

Softmax counts 5 and a norm 7 operations per element. Batch 1. Source: github.com/hahnyuan/LLM-Viewer and
`other_packages/LLM-Viewer` in AIM's repository; `published.yaml` holds every row that follows from it.
"""

from collections.abc import Sequence
from functools import lru_cache

from winnow.harness.cost.op import LINEAR_FLOPS, NORM_FLOPS, SOFTMAX_FLOPS, Op
from winnow.harness.cost.physical import TILE
from winnow.harness.cost.shape import LLMShape, layers, linears

NAME = "llm-viewer-compat"


def _attention(shape: LLMShape, n: int, width: float, fused: bool) -> list[Op]:
    if shape.recurrent and shape.states:
        return shape.states.ops(n, width)
    rows = shape.passing(n)
    scores, product = rows * n * shape.heads, LINEAR_FLOPS * rows * n * shape.heads * shape.head_dim
    queries, keys = rows * shape.heads * shape.head_dim * width, n * shape.kv_heads * shape.head_dim * width
    if fused:
        flops, streamed = 2 * product + SOFTMAX_FLOPS * scores, 2 * -(-rows // TILE) * keys
        return [Op("fused_attention", flops, load=queries, store=2 * scores * width, kv_load=streamed)]
    return [
        Op("qk_matmul", product, load=keys, store=scores * width, kv_load=keys),
        Op("softmax", SOFTMAX_FLOPS * scores, load=scores * width, store=scores * width),
        Op("sv_matmul", product, load=scores * width, store=queries, kv_load=keys),
    ]


def _elementwise(shape: LLMShape, n: int, width: float, mlp_add: bool, mlp: int) -> list[Op]:
    sizes = {"attn": shape.passing(n) * shape.hidden, "mlp": shape.passing(mlp) * shape.hidden}
    adds = ["attn", "mlp"] if mlp_add else ["attn"]
    return [
        *(Op(f"{at}_norm", NORM_FLOPS * x, load=x * width, store=x * width) for at, x in sizes.items()),
        *(Op(f"{at}_add", sizes[at], load=sizes[at] * width, store=sizes[at] * width) for at in adds),
        Op("mlp_act", 2 * sizes["mlp"], load=2 * sizes["mlp"] * width, store=sizes["mlp"] * width),
    ]


def layer_ops(
    shape: LLMShape, n: int, mlp_add: bool = True, width: float = 2, fused: bool = False, mlp: int | None = None
) -> list[Op]:
    """List the operators of one decoder layer in the prefill of `n` tokens.

    Parameters
    ----------
    shape : LLMShape
        The LLM.
    n : int
        Tokens that the layer processes, visual and text.
    mlp_add : bool
        Count the second residual add. AIM's tables leave it out for Qwen2 and count it for Vicuna and Qwen-VL.
    width : float
        Bytes per element of weights, activations and KV cache.
    fused : bool
        Attention as one operator, as in the FlashAttention row of AIM's Table D.
    mlp : int or None
        Tokens that its MLP processes, where a method merges behind the attention; None: all.
    """
    left = n if mlp is None else mlp
    around = _elementwise(shape, n, width, mlp_add, left)
    return [*linears(shape, n, width, left), *_attention(shape, n, width, fused), *around]


def head_op(shape: LLMShape, width: float = 2, weight_width: float | None = None) -> Op:
    """Cost of the LM head, once per prompt: one position; its weights may have a width of their own."""
    size = shape.hidden * shape.vocab
    weights = size * (width if weight_width is None else weight_width)
    return Op("lm_head", size, weight=weights, load=shape.hidden * width, store=shape.vocab * width)


@lru_cache(maxsize=65536)
def _layer_flops(shape: LLMShape, n: int, mlp_add: bool, mlp: int) -> float:
    return sum(op.flops for op in layer_ops(shape, n, mlp_add, mlp=mlp))


def prefill_flops(
    shape: LLMShape, tokens_per_layer: Sequence[int], mlp_add: bool = True, mlp: Sequence[int] | None = None
) -> float:
    """Floating-point operations of the LLM in one prefill.

    Parameters
    ----------
    shape : LLMShape
        The LLM.
    tokens_per_layer : sequence of int
        Tokens, visual and text, that each layer processes; one entry per layer.
    mlp_add : bool
        Count the second residual add; see `layer_ops`.
    mlp : sequence of int or None
        Tokens that the MLP of each layer processes, see `winnow.harness.cost.behind`; None: all that enter it.

    Raises
    ------
    WinnowError
        When a list does not have one entry per layer.
    """
    both = layers(shape, tokens_per_layer, mlp)
    found = (_layer_flops(shape.at(layer), n, mlp_add, left) for layer, (n, left) in enumerate(both))
    return sum(found) + head_op(shape).flops
