"""One operator of a model and what it costs."""

from dataclasses import dataclass

LINEAR_FLOPS, SOFTMAX_FLOPS, NORM_FLOPS = 2, 5, 7
"""Operations per multiply-add, per attention score and per normalised element; LLM-Viewer's, for both profiles."""


@dataclass(frozen=True)
class Op:
    """An operator with its floating-point operations and the bytes that it moves.

    Attributes
    ----------
    name : str
        Name of the operator, as LLM-Viewer spells it.
    flops : float
        Floating-point operations; a multiply-add counts as two.
    weight, load, store : float
        Bytes of weights read, of activations read and of activations written.
    kv_load, kv_store : float
        Bytes of the KV cache read and written.
    """

    name: str
    flops: float
    weight: float = 0.0
    load: float = 0.0
    store: float = 0.0
    kv_load: float = 0.0
    kv_store: float = 0.0

    @property
    def bytes(self) -> float:
        """All bytes that the operator moves."""
        return self.weight + self.load + self.store + self.kv_load + self.kv_store


def linear(name: str, n: int, inputs: int, outputs: int, width: float, *, cached: bool = False) -> Op:
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
