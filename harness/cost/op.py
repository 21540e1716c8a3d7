"""One operator of a decoder layer and what it costs."""

from dataclasses import dataclass


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
