"""What a prefill leaves in memory, and what it needs at its peak; never to be mixed with the bytes that it moves."""

from collections.abc import Sequence

from harness.cost.shape import LLMShape, check_depth


def kv_bytes(shape: LLMShape, tokens_per_layer: Sequence[int], bytes_per_element: float = 2) -> float:
    """Bytes of the KV cache after the prefill: keys and values of every layer's tokens.

    Parameters
    ----------
    shape : LLMShape
        The LLM.
    tokens_per_layer : sequence of int
        Tokens, visual and text, that each layer processes; one entry per layer.
    bytes_per_element : float
        2 for half precision, 4 for float32.

    Raises
    ------
    WinnowError
        When the list does not have one entry per layer.
    """
    check_depth(shape, tokens_per_layer)
    return 2 * shape.kv_heads * shape.head_dim * bytes_per_element * sum(map(int, tokens_per_layer))
