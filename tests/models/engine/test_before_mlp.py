"""Reducing between attention and MLP of a block: what a shorter sequence would have given, token by token."""

from contextlib import ExitStack
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from winnow.models.engine.before_mlp import BeforeMLP
from winnow.models.engine.norms import Norms, closed, norms_of


class Block(nn.Module):
    """``x + last(mlp(norm(x)))`` behind an attention that adds one; experts beside the MLP if asked for."""

    def __init__(self, experts: bool = False, scale: float | None = None) -> None:
        super().__init__()
        self.norm, self.mlp, self.last = nn.LayerNorm(4), nn.Linear(4, 4), nn.LayerNorm(4)
        if experts:
            self.router, self.experts = nn.Linear(4, 2), nn.Linear(4, 4)
            self.pre_feedforward_layernorm_2, self.post_feedforward_layernorm_2 = nn.LayerNorm(4), nn.LayerNorm(4)
        if scale is not None:
            self.layer_scalar = torch.tensor(scale)
        self.fed: Tensor | None = None
        self.act_fn, self.per_layer_input_gate = nn.ReLU(), nn.Linear(4, 3)
        self.per_layer_projection, self.post_per_layer_input_norm = nn.Linear(3, 4), nn.LayerNorm(4)

    def forward(self, x: Tensor) -> Tensor:
        x = x + 1
        made: Any = self.mlp(self.norm(x))
        if hasattr(self, "experts"):
            flat = x.reshape(-1, 4)
            self.gate = self.router(flat).softmax(-1)
            routed = self.experts(self.pre_feedforward_layernorm_2(flat))
            made = made + self.post_feedforward_layernorm_2(routed.view(x.shape))
        return closed(self, x + self.last(made), self.fed)


def hooked(block: Block, reduce: Any, stack: ExitStack) -> None:
    BeforeMLP(reduce).hook(stack, block, "norm", "last")


@pytest.mark.parametrize("scale", [None, 0.5])
def test_the_block_goes_on_with_what_is_left(scale: float | None) -> None:
    torch.manual_seed(0)
    block, hidden = Block(scale=scale), torch.randn(2, 5, 4)
    whole, seen = block(hidden), list[Tensor]()
    with ExitStack() as stack:
        hooked(block, lambda x: x[:, 1::2], stack)
        block.register_forward_hook(lambda module, args, output: seen.append(output))
        found = block(hidden)
    assert torch.allclose(found, whole[:, 1::2], atol=1e-6) and seen[0] is found
    assert torch.equal(block(hidden), whole)


def test_what_a_block_is_fed_besides_is_that_of_the_tokens_left() -> None:
    torch.manual_seed(0)
    block, hidden = Block(scale=0.5), torch.randn(2, 5, 4)
    plain = block(hidden)
    block.fed = torch.randn(2, 5, 3)
    whole, fed = block(hidden), block.fed
    with ExitStack() as stack:
        BeforeMLP(lambda x: x[:, 1::2], lambda: fed[:, 1::2]).hook(stack, block, "norm", "last")
        found = block(hidden)
    assert torch.allclose(found, whole[:, 1::2], atol=1e-6) and not torch.allclose(whole, plain)
    added = block.post_per_layer_input_norm(
        block.per_layer_projection(block.act_fn(block.per_layer_input_gate(2 * plain)) * fed)
    )
    assert torch.allclose(whole, plain + 0.5 * added, atol=1e-6)


@pytest.mark.parametrize("kept", [slice(1, None, 2), slice(None)])
def test_experts_beside_the_mlp_see_what_is_left(kept: slice) -> None:
    torch.manual_seed(0)
    block, hidden = Block(experts=True), torch.randn(2, 5, 4)
    whole, gate = block(hidden), block.gate
    with ExitStack() as stack:
        hooked(block, lambda x: x if kept == slice(None) else x[:, kept], stack)
        found = block(hidden)
    assert torch.allclose(found, whole[:, kept], atol=1e-6)
    assert torch.allclose(block.gate, gate.view(2, 5, 2)[:, kept].flatten(0, 1))


def test_a_block_in_which_nothing_goes_is_as_it_was() -> None:
    torch.manual_seed(0)
    block, hidden = Block(), torch.randn(2, 5, 4)
    whole = block(hidden)
    with ExitStack() as stack:
        hooked(block, lambda x: x, stack)
        assert torch.equal(block(hidden), whole)


def test_a_reduction_holds_for_one_forward() -> None:
    torch.manual_seed(0)
    block, hidden, left = Block(), torch.randn(2, 5, 4), iter([2, 5, 3])
    whole = block(hidden)
    with ExitStack() as stack:
        hooked(block, lambda x: x if (n := next(left)) == 5 else x[:, :n], stack)
        for count in (2, 5, 3):
            assert torch.allclose(block(hidden), whole[:, :count], atol=1e-6)


def test_the_sum_is_taken_behind_the_mlp_where_no_norm_follows() -> None:
    class Short(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.mlp = nn.LayerNorm(4), nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            made: Tensor = x + self.mlp(self.norm(x))
            return made

    torch.manual_seed(0)
    block, hidden = Short(), torch.randn(2, 5, 4)
    whole = block(hidden)
    with ExitStack() as stack:
        BeforeMLP(lambda x: x[:, 3:]).hook(stack, block, "norm")
        assert torch.allclose(block(hidden), whole[:, 3:], atol=1e-6)


def named(*names: str) -> nn.Module:
    made = nn.Module()
    for name in names:
        made.add_module(name, nn.Identity())
    return made


def test_norms_are_known_by_their_names() -> None:
    plain = named("input_layernorm", "post_attention_layernorm")
    assert norms_of(plain) == Norms(None, "post_attention_layernorm", None)
    gemma = named("post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm")
    assert norms_of(gemma) == Norms(
        "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm"
    )
    glm = named("post_self_attn_layernorm", "post_attention_layernorm", "post_mlp_layernorm")
    assert norms_of(glm) == Norms("post_self_attn_layernorm", "post_attention_layernorm", "post_mlp_layernorm")
    state = torch.ones(2)
    assert closed(plain, state) is state
