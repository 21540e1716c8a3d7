"""Linear attention in closed form, at the size of Qwen3.5 4B."""

import pytest
from values import usual

from winnow.harness.cost import LLMShape, kv_bytes, physical
from winnow.harness.cost.decode import step_op
from winnow.harness.cost.memory import layer_bytes
from winnow.harness.cost.op import Op, linear
from winnow.harness.cost.states import States

STATES = States(key_heads=16, value_heads=32, key_dim=128, value_dim=96, kernel=4, every=4)
HYBRID = LLMShape(8, 2560, 16, 4, 256, 9216, 1000, gated=True, states=STATES)
VALUES, MIXED, STATE = 32 * 96, 2 * 16 * 128 + 32 * 96, 32 * 128 * 96


def test_numbers_of_a_token_and_of_the_state() -> None:
    assert (STATES.values, STATES.mixed, STATES.state) == (VALUES, MIXED, STATE)
    assert STATES.weights(2560) == 2560 * (MIXED + VALUES + VALUES + 32 + 32) + 4 * MIXED
    assert STATES.bytes(2) == 4 * STATE + 2 * 4 * MIXED and STATES.bytes(1) == 4 * STATE + 4 * MIXED
    assert sum(op.weight for op in STATES.linears(2560, 7, 2)) == 2 * (STATES.weights(2560) - 4 * MIXED)


def test_arch() -> None:
    assert usual(States) == {}
    row = {"key_heads": 16, "value_heads": 32, "key_dim": 128, "value_dim": 96, "kernel": 4}
    assert States.from_arch({"linear": row, "full_every": 4}) == STATES and States.from_arch({}) is None


@pytest.mark.parametrize(("n", "chunks"), [(1, 1), (64, 1), (65, 2), (1000, 16)])
def test_a_prefill_goes_through_chunks_of_64(n: int, chunks: int) -> None:
    """A chunk's keys meet its keys and its queries, then its values; three products with the state; one triangle."""
    ops = {op.name: op for op in STATES.ops(n, 2)}
    moved, made = 2 * n * MIXED, n * VALUES
    within, through = 64 * 64 * (128 + 128 + 96), 3 * 64 * 128 * 96
    assert ops == {
        "conv": Op("conv", 2 * (n + 3) * 4 * MIXED, load=moved, store=moved),
        "conv_act": Op("conv_act", 5 * n * MIXED, load=moved, store=moved),
        "delta_rule": Op(
            "delta_rule", 2 * 32 * chunks * (within + through), load=moved, store=2 * made, kv_store=STATES.bytes(2)
        ),
        "delta_rule_solve": Op("delta_rule_solve", 32 * chunks * 64 * 64 * (128 + 96)),
        "gated_norm": Op("gated_norm", (7 + 6) * made, load=2 * 2 * made, store=2 * made),
    }


def test_projections() -> None:
    assert STATES.linears(2560, 7, 2) == [
        linear("in_proj_qkv", 7, 2560, MIXED, 2), linear("in_proj_z", 7, 2560, VALUES, 2),
        linear("in_proj_b", 7, 2560, 32, 2), linear("in_proj_a", 7, 2560, 32, 2),
        linear("out_proj", 7, VALUES, 2560, 2),
    ]  # fmt: skip


def test_each_fourth_layer_has_attention() -> None:
    assert [HYBRID.at(layer).recurrent for layer in range(8)] == [True, True, True, False] * 2
    assert [HYBRID.at(layer).gates for layer in range(4)] == [False, False, False, True]
    assert kv_bytes(HYBRID, [1000] * 8) == 6 * STATES.bytes(2) + 2 * 2 * 2 * 4 * 256 * 1000
    attention = 2560 * 256 * (3 * 16 + 2 * 4)  # queries come with a gate
    assert HYBRID.parameters == 6 * STATES.weights(2560) + 2 * attention + 8 * 3 * 2560 * 9216
    names = [{op.name for op in physical.layer_ops(HYBRID.at(layer), 10)} for layer in (2, 3)]
    assert "delta_rule" in names[0] and not {"rope", "q_proj", "gate_act"} & names[0]
    assert {"rope", "q_proj", "gate_act"} <= names[1] and "delta_rule" not in names[1]
    gate = next(op for op in physical.layer_ops(HYBRID.at(3), 10) if op.name == "gate_act")
    assert gate == Op("gate_act", 5 * 10 * 4096, load=2 * 2 * 10 * 4096, store=2 * 10 * 4096)


def test_a_step_reads_the_state_and_keys_of_the_rest() -> None:
    step = step_op(HYBRID, [1000] * 8, done=5)
    assert STATES.step() == 7 * STATE  # decay 1; prediction, update and reading 2 each
    weights = HYBRID.active_parameters + 2560 * 1000
    assert step.flops == 2 * weights + 4 * 16 * 2 * 1005 * 256 + 6 * 7 * STATE
    assert (step.weight, step.kv_load) == (2 * weights, kv_bytes(HYBRID, [1005] * 8))


def test_a_layers_live_set() -> None:
    n, layer = 1000, HYBRID.at(0)
    chunked = 4 * 32 * (4 * 128 + 4 * 96 + 3 * 64)
    assert STATES.live(n, 2560, 2) == n * (2 * (2 * 2560 + MIXED + VALUES) + chunked)
    assert layer_bytes(layer, n) == STATES.live(n, 2560, 2) > 2 * n * (2 * 2560 + 3 * 9216)
    few = LLMShape(8, 2560, 16, 4, 256, 92160, 1000, states=STATES).at(0)
    assert layer_bytes(few, n) == 2 * n * (2 * 2560 + 3 * 92160)  # a wide MLP
