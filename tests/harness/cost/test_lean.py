"""What layers cost that are fed an input of their own, worked out by hand."""

import pytest

from winnow.harness.cost.lean import Lean, feeding


def test_it_is_read_from_the_yaml() -> None:
    assert Lean.from_arch({}) is None
    assert Lean.from_arch({"layer_input": 256, "shared_layers": 20}) == Lean(256, 20, False)
    assert Lean.from_arch({"layer_input": 256, "shared_layers": 20, "wide_readers": True}) == Lean(256, 20, True)


@pytest.mark.parametrize("feeds", [0, 20])
def test_a_layer_that_is_fed(feeds: int) -> None:
    """Width 8, fed 3 numbers of each of 5 tokens that leave it; 7 enter, of which the first layer makes 20 numbers."""
    ops = {op.name: op for op in feeding(8, 3, feeds, 7, 5, 2)}
    assert list(ops) == [*(["inputs_proj", "inputs_norm"] if feeds else []), *OWN]
    assert {name: (ops[name].flops, ops[name].load, ops[name].store) for name in OWN} == OWN
    assert (ops["input_gate"].weight, ops["input_proj"].weight) == (2 * 24, 2 * 24)
    if feeds:
        assert (ops["inputs_proj"].flops, ops["inputs_proj"].weight) == (2 * 7 * 8 * 20, 2 * 160)
        assert (ops["inputs_norm"].flops, ops["inputs_norm"].load, ops["inputs_norm"].store) == (9 * 140, 560, 280)


OWN = {
    "input_gate": (2 * 5 * 24, 80, 30),
    "input_act": (6 * 15, 60, 30),
    "input_proj": (2 * 5 * 24, 30, 80),
    "input_norm": (8 * 40, 160, 80),
}
"""FLOPs, bytes read and bytes written."""


def test_one_that_is_not_fed_costs_nothing() -> None:
    assert feeding(8, 0, 20, 7, 5, 2) == []
