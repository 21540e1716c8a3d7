"""The tree that plans foretell is the one that runs, and its costs add up."""

from dataclasses import replace

import pytest
from cells import cell
from values import usual

from winnow.harness.cost import physical
from winnow.harness.plan.nominal import nominal
from winnow.harness.plan.tree import Node, draw, in_turn, joint_bytes, shared_bytes, shared_flops, trees
from winnow.reducers.aim import AIM
from winnow.reducers.aim_merge import AIMMerge
from winnow.reducers.compose import Compose
from winnow.reducers.core.base import Reducer
from winnow.reducers.core.schedule import First, K, Window
from winnow.reducers.fastv import FastV
from winnow.reducers.none import NoReduction
from winnow.reducers.prumerge import PruMerge
from winnow.reducers.random import RandomDrop
from winnow.reducers.tome import ToMe
from winnow.reducers.vas import VAS

PROMPT = nominal(cell("model=llava_ov").seen)


def grown(*reducers: Reducer) -> list[Node]:
    return trees(PROMPT, reducers, planned(*reducers))


def planned(*reducers: Reducer) -> list[list[int]]:
    return [PROMPT.plan(reducer) for reducer in reducers]


def shape(*reducers: Reducer) -> list[tuple[int, int, tuple[int, ...]]]:
    return [(node.first, len(node.tokens), node.cells) for root in grown(*reducers) for node in root.nodes()]


def test_cells_part_where_the_first_of_them_acts() -> None:
    found = shape(FastV(ratio=0.25), NoReduction(), FastV(ratio=0.5), VAS(r=0.3))
    assert found == [(0, 2, (1, 3, 2, 0)), (2, 4, (1, 3)), (6, 22, (1,)), (6, 22, (3,)), (2, 26, (2,)), (2, 26, (0,))]


def test_adaptive_cells_of_equal_counts_part_where_the_counts_fall() -> None:
    """VAS first acts in front of layer 6; in front of each other one that is no round nothing is done."""
    found = shape(VAS(r=0.3), VAS(r=0.3, forced="spatial"))
    assert found == [(0, 6, (0, 1)), (6, 22, (0,)), (6, 22, (1,))]


def test_equal_counts_are_not_equal_tokens() -> None:
    assert len(shape(RandomDrop(ratio=0.25), AIMMerge(ratio=0.25))) == 2
    assert len(shape(FastV(ratio=0.25), RandomDrop(ratio=0.25, schedule=K(2)))) == 3


def test_parts_that_act_alike_share_what_follows() -> None:
    early, late = AIM(ratio=0.25, schedule=Window(7, 15)), AIM(ratio=0.25, schedule=Window(14, 22))
    assert shape(early, late, AIMMerge(ratio=0.25))[0] == (0, 8, (2, 1, 0))
    assert shape(PruMerge(ratio=0.2), Compose(PruMerge(ratio=0.2), FastV(ratio=0.5)))[0] == (0, 2, (0, 1))


def test_layers_that_a_method_acts_inside_are_its_own() -> None:
    assert shape(NoReduction(), ToMe(ratio=0.4, schedule=First(3)))[0][:2] == (0, 28)


def test_shared_flops_are_those_of_the_nodes() -> None:
    methods = [NoReduction(), FastV(ratio=0.5), FastV(ratio=0.25)]
    once, alone = shared_flops(PROMPT, grown(*methods))
    whole = [[count + PROMPT.text for count in PROMPT.plan(method)] for method in methods]
    assert alone == pytest.approx(sum(physical.prefill_flops(PROMPT.shape, tokens) for tokens in whole))
    layer = physical.layer_flops(PROMPT.shape, PROMPT.visual + PROMPT.text, "sdpa")
    assert alone - once == pytest.approx(2 * 2 * layer)


def test_memory_is_that_of_shared_layers() -> None:
    methods = [NoReduction(), FastV(ratio=0.5)]
    tokens, shape_ = PROMPT.visual + PROMPT.text, PROMPT.shape
    pairs, states = 2 * 2 * shape_.kv_heads * shape_.head_dim, 2 * shape_.hidden
    assert shared_bytes(PROMPT, grown(*methods), 3) == 3 * 2 * tokens * (pairs + states)
    assert shared_bytes(PROMPT, grown(*methods[:1]), 3) == 0


def test_cells_that_decode_together_are_as_long_as_the_longest_in_each_layer() -> None:
    methods, shape_ = [FastV(ratio=0.5), FastV(ratio=0.25)], PROMPT.shape
    whole, half = (n + PROMPT.text + 7 for n in (PROMPT.visual, PROMPT.visual // 2))
    pairs = 2 * 2 * shape_.kv_heads * shape_.head_dim
    assert joint_bytes(PROMPT, planned(*methods), 3, 7) == 2 * 3 * pairs * (2 * whole + (shape_.layers - 2) * half)


def test_the_tree_is_drawn_with_who_goes_where() -> None:
    found = grown(NoReduction(), FastV(ratio=0.5))
    assert draw(found, ["none", "fastv"]) == [
        "layers 0-1: 6372 tokens, 2 cells",
        "|- layers 2-27: 6372 tokens, none",
        "`- layers 2-27: 3236 tokens, fastv",
    ]


def test_who_keeps_most_for_longest_comes_first() -> None:
    assert in_turn([[9, 2], [9, 9], [4, 4], [9, 3]]) == [1, 3, 0, 2]


def node(first: int, tokens: tuple[int, ...], cells: tuple[int, ...], *below: Node) -> Node:
    return Node(first, tokens, cells, [*below])


def test_a_drawing_tells_single_layers_long_lists_and_who_stays_together() -> None:
    """Four different counts are listed, of more the first three and the last."""
    assert usual(Node) == {"below": []}
    leaves = node(2, (7, 6, 5, 4), (1, 2)), node(2, (6, 5, 4, 3, 3, 2), (3,))
    tree = node(0, (9,), (0, 1, 2, 3), node(1, (8, 8), (1, 2, 3), *leaves), node(1, (1,), (0,)))
    assert draw([tree, node(0, (5, 5), (4,))], [*"abcde"]) == [
        "layer 0: 9 tokens, 4 cells",
        "|- layers 1-2: 8 tokens, 3 cells",
        "|  |- layers 2-5: 7 > 6 > 5 > 4 tokens, b, c",
        "|  `- layers 2-7: 6 > 5 > 4 > .. > 2 tokens, d",
        "`- layer 1: 1 tokens, a",
        "layers 0-1: 5 tokens, e",
    ]


def test_cells_that_end_together_share_their_layers_but_have_a_head_each() -> None:
    small = replace(PROMPT, shape=replace(PROMPT.shape, layers=3))
    tree = node(0, (50,), (0, 1, 2), node(1, (50, 50), (0, 1)), node(1, (20, 10), (2,)))
    once, alone = shared_flops(small, [tree])
    layer = {n: physical.layer_flops(small.shape, n, small.attn) for n in (50, 20, 10)}
    head = physical.head_op(small.shape).flops
    assert once == pytest.approx(3 * layer[50] + layer[20] + layer[10] + 3 * head)
    assert alone == pytest.approx(7 * layer[50] + layer[20] + layer[10] + 3 * head)
    keys = 2 * small.shape.kv_heads * small.shape.head_dim
    kept = (keys * 50 + 2 * small.shape.hidden * 50) + (keys * 100 + 2 * small.shape.hidden * 50)
    assert shared_bytes(small, [tree], 5) == 5 * 2 * kept


def test_nothing_to_answer_is_no_tree() -> None:
    assert trees(PROMPT, [], []) == [] and shared_flops(PROMPT, []) == (0, 0) and draw([], []) == []
