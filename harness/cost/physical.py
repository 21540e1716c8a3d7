"""What a prefill really needs: the default profile.

Against the papers' convention (`llm_viewer`) it counts causal attention for kernels that skip the masked half (sdpa,
flash; eager computes all of n x n), RoPE, two operations per multiply-add in the LM head, the activation on the MLP's
width, and the bytes that each operator has to move. Not counted, each below 0.01 %: biases, the final norm and the
embedding's look-up. Batch 1.
"""

from collections.abc import Sequence
from functools import lru_cache

from winnow.harness.cost.op import LINEAR_FLOPS, NORM_FLOPS, SOFTMAX_FLOPS, Op
from winnow.harness.cost.shape import LLMShape, layers, linears

NAME = "physical"
EAGER = "eager"
TILE = 128
"""Query rows that a fused kernel holds on chip while it streams keys and values past them."""


def pairs(n: int, causal: bool) -> float:
    """Pairs of a query and a key whose score is computed."""
    return n * (n + 1) / 2 if causal else n * n


def _attention(shape: LLMShape, n: int, width: float, attn: str) -> list[Op]:
    if shape.recurrent and shape.states:
        return shape.states.ops(n, width)
    rows, keys = shape.passing(n), n * shape.kv_heads * shape.head_dim * width
    queries = rows * shape.heads * shape.head_dim * width
    scores = (rows * n if shape.reading else pairs(n, attn != EAGER)) * shape.heads
    product = LINEAR_FLOPS * scores * shape.head_dim
    if attn == EAGER:
        return [
            Op("qk_matmul", product, load=queries, store=scores * width, kv_load=keys),
            Op("softmax", SOFTMAX_FLOPS * scores, load=scores * width, store=scores * width),
            Op("sv_matmul", product, load=scores * width, store=queries, kv_load=keys),
        ]
    passes = (-(-rows // TILE) + 1) / 2  # a causal kernel streams keys only up to the tile's own rows
    return [
        Op(
            "fused_attention",
            2 * product + SOFTMAX_FLOPS * scores,
            load=queries,
            store=queries,
            kv_load=2 * passes * keys,
        )
    ]


def _elementwise(shape: LLMShape, n: int, width: float, mlp: int) -> list[Op]:
    n, mlp = shape.passing(n), shape.passing(mlp)
    inner, queries = mlp * shape.inner, n * shape.heads * shape.head_dim
    rotated = queries + (0 if shape.reading else n * shape.kv_heads * shape.head_dim)
    sizes = {"attn": n * shape.hidden, "mlp": mlp * shape.hidden}
    return [
        *(Op(f"{at}_norm", NORM_FLOPS * x, load=x * width, store=x * width) for at, x in sizes.items()),
        *(Op(f"{at}_add", x, load=2 * x * width, store=x * width) for at, x in sizes.items()),
        Op("mlp_act", 5 * inner, load=2 * inner * width, store=inner * width),
        *([] if shape.recurrent else [Op("rope", 3 * rotated, load=rotated * width, store=rotated * width)]),
        *([Op("gate_act", 5 * queries, load=2 * queries * width, store=queries * width)] if shape.gates else []),
    ]


def layer_ops(shape: LLMShape, n: int, attn: str = "sdpa", width: float = 2, mlp: int | None = None) -> list[Op]:
    """List the operators of one decoder layer in the prefill of `n` tokens.

    Parameters
    ----------
    shape : LLMShape
        The LLM; for a layer of a hybrid `LLMShape.at`.
    n : int
        Tokens that the layer processes, visual and text.
    attn : str
        The attention kernel: ``eager`` computes and stores every score, all others are fused and causal.
    width : float
        Bytes per element of weights, activations and KV cache.
    mlp : int or None
        Tokens that its MLP processes, where a method merges behind the attention; None: all.
    """
    left = n if mlp is None else mlp
    return [*linears(shape, n, width, left), *_attention(shape, n, width, attn), *_elementwise(shape, n, width, left)]


def head_op(shape: LLMShape, width: float = 2) -> Op:
    """Cost of the LM head, once per prompt: one position."""
    size = shape.hidden * shape.vocab
    return Op("lm_head", LINEAR_FLOPS * size, weight=size * width, load=shape.hidden * width, store=shape.vocab * width)


@lru_cache(maxsize=65536)
def layer_flops(shape: LLMShape, n: int, attn: str, mlp: int | None = None) -> float:
    """Floating-point operations of one decoder layer in the prefill of `n` tokens; parameters as in `layer_ops`."""
    return sum(op.flops for op in layer_ops(shape, n, attn, mlp=mlp))


def prefill_flops(
    shape: LLMShape, tokens_per_layer: Sequence[int], attn: str = "sdpa", mlp: Sequence[int] | None = None
) -> float:
    """Floating-point operations of the LLM in one prefill.

    Parameters
    ----------
    shape : LLMShape
        The LLM.
    tokens_per_layer : sequence of int
        Tokens, visual and text, that each layer processes; one entry per layer.
    attn : str
        The attention kernel; see `layer_ops`.
    mlp : sequence of int or None
        Tokens that the MLP of each layer processes, see `winnow.harness.cost.behind`; None: all that enter it.

    Raises
    ------
    WinnowError
        When a list does not have one entry per layer.
    """
    both = layers(shape, tokens_per_layer, mlp)
    found = (layer_flops(shape.at(layer), n, attn, left) for layer, (n, left) in enumerate(both))
    return sum(found) + head_op(shape).flops
