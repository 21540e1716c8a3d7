"""What a prefill costs, computed from the number of tokens that each LLM layer processed.

Each profile is a module with the same functions over the same operators; `llm_viewer` is the convention of the papers,
`physical` counts what really happens.
"""

from winnow.harness.cost.memory import kv_bytes
from winnow.harness.cost.op import Op
from winnow.harness.cost.shape import LLMShape

__all__ = ["LLMShape", "Op", "kv_bytes"]
