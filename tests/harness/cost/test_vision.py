"""The vision side of a prefill in closed form, at the size of real towers."""

from typing import Any

import pytest
from values import usual

from winnow.harness.cost.op import Op, linear
from winnow.harness.cost.vision import Linear, TowerShape, projector_from, projector_ops, tower_ops

SIGLIP = {"layers": 26, "hidden": 1152, "heads": 16, "mlp": 4304, "image": 384, "patch": 14}
QWEN2_VL = {
    "layers": 32,
    "hidden": 1280,
    "heads": 16,
    "mlp": 5120,
    "image": 224,
    "patch": 14,
    "temporal_patch": 2,
    "merge": 2,
}
QWEN25_VL = QWEN2_VL | {"mlp": 3420, "gated": True, "window": 112, "full_layers": [7, 15, 23, 31]}


def shape(vision: dict[str, Any], tokens: int = 0, cls: bool = False) -> TowerShape:
    return TowerShape.from_arch(vision, tokens, cls)


def named(ops: list[Op], *names: str) -> list[Op]:
    return [op for op in ops if op.name in names]


def flops(ops: list[Op], *names: str) -> float:
    return sum(op.flops for op in (named(ops, *names) if names else ops))


def test_a_tower_is_plain_unless_it_is_told() -> None:
    assert usual(Linear) == {"patches": 0} and usual(TowerShape) == {
        "extra": 0, "gated": False, "window": None, "full": (), "merged_after": 0, "averaged": 0
    }  # fmt: skip


def test_patches_of_a_fixed_and_of_a_merging_tower() -> None:
    fixed, merging = shape(SIGLIP, 196), shape(QWEN2_VL, 180)
    # 27 x 27 patches whatever the LLM sees; 180 tokens of 2 x 2 patches each.
    assert (fixed.patches, fixed.pixels, fixed.extra) == (27 * 27, 3 * 14 * 14, 0)
    assert (merging.patches, merging.pixels) == (720, 3 * 14 * 14 * 2)
    assert shape(SIGLIP, cls=True).extra == 1 and shape(SIGLIP | {"extra_tokens": 4}, cls=True).extra == 4


def test_a_window_is_an_area_of_patches() -> None:
    # 112 pixels are 8 patches of 14: 64 in a window.
    made = shape(QWEN25_VL, 180)
    assert (made.window, made.full, made.gated) == (64, (7, 15, 23, 31), True)
    assert shape(QWEN2_VL, 180).window is None and not shape(QWEN2_VL, 180).gated


@pytest.mark.parametrize(("vision", "linears"), [(SIGLIP, 2), (QWEN25_VL, 3)])
def test_weights(vision: dict[str, Any], linears: int) -> None:
    made = shape(vision, 180)
    per_block = 4 * made.hidden**2 + linears * made.hidden * made.mlp
    assert made.parameters == made.layers * per_block + made.pixels * made.hidden
    assert sum(op.weight for op in tower_ops(made, 3)) == 2 * made.parameters


def test_a_whole_tower() -> None:
    frames, t, h, heads, mlp = 32, 730, 1152, 16, 4304
    made = shape(SIGLIP, cls=True)
    n, scores = frames * t, frames * t * t
    block = 2 * n * (4 * h * h + 2 * h * mlp) + 4 * scores * h + 5 * scores * heads + 5 * n * mlp + 2 * (7 + 1) * n * h
    assert flops(tower_ops(made, frames)) == 26 * block + 2 * frames * 729 * 588 * h
    eager = tower_ops(made, frames, attn="eager")
    assert flops(eager) == flops(tower_ops(made, frames))  # no mask: a fused kernel computes as many scores
    assert flops(eager, "softmax") == 26 * 5 * scores * heads
    assert flops(eager, "qk_matmul") == flops(eager, "sv_matmul") == 26 * 2 * scores * h


def test_windowed_blocks_attend_to_a_window_and_the_others_to_the_frame() -> None:
    ops = tower_ops(shape(QWEN25_VL, 180), 8, attn="eager")
    n = 8 * 720
    assert [op.flops for op in named(ops, "softmax")] == [
        5 * n * (720 if block in (7, 15, 23, 31) else 64) * 16 for block in range(32)
    ]
    small = tower_ops(shape(QWEN25_VL, 9), 1, attn="eager")  # a frame of 36 patches is smaller than a window
    assert {op.flops for op in named(small, "softmax")} == {5 * 36 * 36 * 16}


def test_a_cut_falls_between_attention_and_mlp_of_its_block() -> None:
    made, frames = shape(SIGLIP | {"layers": 4}, cls=True), 3
    ops = tower_ops(made, frames, [729, 300, 100])
    attended, passed = [730, 730, 301, 101], [730, 301, 101, 101]  # blocks behind the list process what is left
    assert [op.flops for op in named(ops, "q_proj")] == [2 * frames * n * 1152**2 for n in attended]
    assert [op.flops for op in named(ops, "fc1")] == [2 * frames * n * 1152 * 4304 for n in passed]
    scores = [frames * n * n for n in attended]
    assert [op.flops for op in named(ops, "fused_attention")] == [(4 * 1152 + 5 * 16) * s for s in scores]


def test_traffic_of_attention() -> None:
    made = shape(SIGLIP | {"layers": 1})
    state, scores = 2 * 729 * 1152, 2 * 729 * 729 * 16
    (fused,) = named(tower_ops(made, 1), "fused_attention")
    # Queries in, output out, keys and values once for each of 6 tiles of 128 queries.
    assert (fused.load, fused.store) == (state + 2 * 6 * state, state)
    ops = tower_ops(made, 1, attn="eager")
    moved = {op.name: (op.load, op.store) for op in ops}
    assert moved["qk_matmul"] == (2 * state, scores) and moved["softmax"] == (scores, scores)
    assert moved["sv_matmul"] == (scores + state, state)
    assert [op.bytes for op in tower_ops(made, 1, width=4)] == [2 * op.bytes for op in tower_ops(made, 1)]


def test_a_projector_passes_what_the_tower_leaves() -> None:
    layers = projector_from(
        {"projector": [{"tokens": 729, "in": 1152, "out": 3584}, {"tokens": 196, "in": 3584, "out": 3584}]}
    )
    assert layers == (Linear(729, 1152, 3584), Linear(196, 3584, 3584)) and projector_from({}) == ()
    whole, cut = projector_ops(layers, 32), projector_ops(layers, 32, 300)
    assert [op.flops for op in whole] == [2 * 32 * 729 * 1152 * 3584, 2 * 32 * 196 * 3584**2]
    assert [op.flops for op in cut] == [2 * 32 * 300 * 1152 * 3584, 2 * 32 * 196 * 3584**2]


def test_squares_that_are_merged_on_the_way_pass_attention_and_an_mlp_of_their_own() -> None:
    """Behind block 1 of 3: 4 patches are one vector of 4 widths, to 4 widths of the MLP, and back to one."""
    frames, h, mlp = 3, 1152, 4304
    made = shape(SIGLIP | {"layers": 3, "image": 392, "merged_after": 1})
    n, squares = frames * 784, frames * 196
    ops = tower_ops(made, frames)
    assert [op.flops for op in named(ops, "q_proj")] == [2 * rows * h * h for rows in (n, n, squares, squares)]
    assert [op.flops for op in named(ops, "fc1")] == [2 * rows * h * mlp for rows in (n, squares, squares)]
    fused = [(4 * h + 5 * 16) * pairs for pairs in (n * 784, n * 4, squares * 196, squares * 196)]
    assert [op.flops for op in named(ops, "fused_attention")] == fused
    (first,), (act,), (second,) = (named(ops, name) for name in ("merge1", "merge_act", "merge2"))
    assert first == linear("merge1", squares, 4 * h, 4 * mlp, 2) and second == linear("merge2", squares, 4 * mlp, h, 2)
    assert act == Op("merge_act", 5 * squares * 4 * mlp, load=2 * squares * 4 * mlp, store=2 * squares * 4 * mlp)
    assert [op.flops for op in named(ops, "norm")] == [7 * rows * h for rows in (n, n, n, n, *[squares] * 4)]
    assert made.parameters == 3 * (4 * h * h + 2 * h * mlp) + 588 * h + 4 * h * h + 16 * h * mlp + 4 * mlp * h
    assert sum(op.weight for op in ops) == 2 * made.parameters
    assert not named(tower_ops(shape(SIGLIP | {"layers": 3}), 1), "merge1", "merge_act", "merge2", "average")


def test_squares_that_a_product_of_matrices_averages() -> None:
    (made,) = named(tower_ops(shape(SIGLIP | {"averaged": True}, 196), 5), "average")
    averaged, patches = 5 * 196 * 1152, 5 * 729 * 1152
    load = 2 * (5 * 196 * 729 + patches)  # the matrix of each frame, and its patches
    assert made == Op("average", 2 * averaged * 729, load=load, store=2 * averaged)


@pytest.mark.parametrize(("vision", "inputs"), [(SIGLIP, 1), (QWEN25_VL, 2)])
def test_traffic_between_the_linear_layers(vision: dict[str, Any], inputs: int) -> None:
    made = shape(vision | {"layers": 1}, 180)
    ops, state, inner = tower_ops(made, 2), 2 * 2 * made.patches * made.hidden, 2 * 2 * made.patches * made.mlp
    assert [(op.load, op.store) for op in named(ops, "norm")] == [(state, state)] * 2
    assert [(op.flops, op.load, op.store) for op in named(ops, "add")] == [(state / 2, 2 * state, state)] * 2
    assert named(ops, "mlp_act") == [Op("mlp_act", 5 * inner / 2, load=inputs * inner, store=inner)]
    assert [op.name for op in named(ops, "gate_proj", "up_proj", "fc1")] == [["fc1"], ["gate_proj", "up_proj"]][
        inputs - 1
    ]


def test_fewer_pixels_leave_a_projector_fewer_vectors_but_one() -> None:
    row = {"projector": [{"tokens": 729, "in": 4, "out": 5}, {"tokens": 2, "in": 5, "out": 6}]}
    assert projector_from(row, 4) == (Linear(182, 4, 5), Linear(1, 5, 6))
    assert [op.name for op in projector_ops(projector_from(row), 1)] == ["projector.0", "projector.1"]
    assert projector_ops(projector_from(row), 3, 10, 4) == [
        linear("projector.0", 30, 4, 5, 4), linear("projector.1", 6, 5, 6, 4),
    ]  # fmt: skip
