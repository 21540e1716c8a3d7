"""A mixture of experts in closed form."""

import pytest
from values import usual

from winnow.harness.cost.experts import Experts
from winnow.harness.cost.op import Op, linear

ARCH = {"experts": 64, "experts_per_token": 6, "expert_mlp": 1408}


def test_arch() -> None:
    assert usual(Experts) == {"shared": 0, "gated": True, "first": 0}
    assert Experts.from_arch({}) is None and Experts.from_arch({"experts": 0}) is None
    assert Experts.from_arch(ARCH) == Experts(64, 6, 1408, shared=0, gated=True, first=0)
    more = ARCH | {"shared_mlp": 2816, "shared_gate": False, "dense_layers": 3}
    assert Experts.from_arch(more) == Experts(64, 6, 1408, shared=2816, gated=False, first=3)


def test_width_is_that_of_the_experts_a_token_passes() -> None:
    assert Experts(64, 6, 1408).width == 6 * 1408 and Experts(64, 6, 1408, 2816).width == 6 * 1408 + 2816


@pytest.mark.parametrize(("shared", "gated"), [(0, True), (0, False), (2816, True), (2816, False)])
def test_operators_of_a_layer(shared: int, gated: bool) -> None:
    made, n, h = Experts(64, 6, 1408, shared, gated), 50, 2048
    met = 64 * (1 - (58 / 64) ** 50)
    passes, inner = n * 6 * h, n * 6 * 1408
    routed = Op(
        "experts",
        2 * 3 * h * inner,
        weight=2 * 3 * met * h * 1408,
        load=2 * (2 * passes + inner),  # gate and up read the token, down what they made
        store=2 * (2 * inner + passes),
    )
    found = {op.name: op for op in made.ops(h, n, 2)}
    assert found.pop("router") == linear("router", n, h, 64, 2)
    theirs = found.pop("experts")
    assert (theirs.flops, theirs.load, theirs.store) == (routed.flops, routed.load, routed.store)
    assert theirs.weight == pytest.approx(routed.weight, rel=1e-12)
    both = [("gate_proj", h, shared), ("up_proj", h, shared), ("down_proj", shared, h)] if shared else []
    both += [("shared_gate", h, 1)] if shared and gated else []
    assert found == {name: linear(name, n, a, b, 2) for name, a, b in both}
    gate = h if shared and gated else 0
    assert made.weights(h, 10) == h * (64 + 3 * (10 * 1408 + shared)) + gate
