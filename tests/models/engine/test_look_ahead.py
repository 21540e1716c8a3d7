"""Looking ahead sees what a layer's attention would be given, and leaves everything as it was."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from winnow.models.engine.look_ahead import look_ahead
from winnow.models.transformers_api import ATTENTION_TABLE, LOOKUP


class Attention(nn.Module):
    """Doubles what it is given into queries, triples it into keys; by the table, if it is told to."""

    def __init__(self, by_table: bool, **how: Any) -> None:
        super().__init__()
        self.by_table, self.how, self.ran = by_table, how, 0

    def forward(
        self, hidden_states: Tensor, position_embeddings: tuple[Tensor, Tensor], attention_mask: None
    ) -> Tensor:
        if self.by_table:
            heads = hidden_states.unflatten(-1, (2, -1)).transpose(1, 2)
            cos, _ = position_embeddings
            attend = getattr(ATTENTION_TABLE, LOOKUP)("sdpa", None)
            attend(self, 2 * heads * cos, 3 * heads[:, :1], heads[:, :1], None, **self.how)
        self.ran += 1
        return hidden_states


class Layer(nn.Module):
    def __init__(self, by_table: bool = True, **how: Any) -> None:
        super().__init__()
        self.input_layernorm, self.self_attn = nn.LayerNorm(8, bias=False), Attention(by_table, **how)


@pytest.mark.parametrize(("how", "scaling"), [({"scaling": 0.3}, 0.3), ({}, 0.5)])
def test_queries_keys_and_scaling_of_a_layer_that_has_not_run(how: dict[str, Any], scaling: float) -> None:
    layer, hidden = Layer(**how), torch.randn(1, 3, 8, generator=torch.Generator().manual_seed(0))
    before = vars(ATTENTION_TABLE).get(LOOKUP)
    query, key, factor = look_ahead(layer, hidden, (torch.full((1, 1), 5.0), torch.zeros(1, 1)))
    normed = nn.functional.layer_norm(hidden, (8,)).unflatten(-1, (2, -1)).transpose(1, 2)
    assert torch.allclose(query, 10 * normed) and torch.allclose(key, 3 * normed[:, :1]) and factor == scaling
    assert not query.requires_grad and layer.self_attn.ran == 0 and vars(ATTENTION_TABLE).get(LOOKUP) is before


def test_an_attention_that_does_not_ask_the_table_is_no_silent_matter() -> None:
    with pytest.raises(RuntimeError, match="Layer has computed its attention without the attention table"):
        look_ahead(Layer(by_table=False), torch.zeros(1, 3, 8), (torch.ones(1, 1), torch.zeros(1, 1)))
