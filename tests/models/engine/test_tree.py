"""The tree of shared layers by hand: who is found, who stays, what is held."""

from types import SimpleNamespace
from typing import Any

import torch
from transformers import DynamicCache

from winnow.models.engine.tree import Node, equal
from winnow.models.engine.trunk import Trunk
from winnow.reducers.core.layout import Layout
from winnow.reducers.core.probes import LookAhead, Rows
from winnow.reducers.core.schedule import K
from winnow.reducers.divprune import DivPrune
from winnow.reducers.fastv import FastV
from winnow.reducers.none import NoReduction
from winnow.reducers.pdrop import PDrop

A, B = torch.tensor([0, 1]), torch.tensor([0, 2])


def test_equal_tensors_are_those_that_hold_the_same() -> None:
    assert equal([A, B], [A, B.clone()]) and equal([], []) and not equal([A], [B]) and not equal([A, B], [B, A])


def test_a_cut_is_found_by_its_tokens_and_its_states() -> None:
    root, state, other = Node(), torch.ones(1, 2), torch.zeros(1, 2)
    first, second = Node(0, [A], entry=(state,)), Node(0, [A], entry=(other,))
    plain = Node(0, [A])
    for node in (first, second, plain):
        root.add(node)
    assert root.find([A.clone()], (state.clone(),)) is first and root.find([A], (other,)) is second
    assert root.find([B], (state,)) is None and root.find([A], (state + 2,)) is None
    assert root.next is plain and root.cuts == [first, second] and root.children == [plain, first, second]
    assert Node(0, [A]).children == []


def test_all_that_is_below_and_what_is_retained() -> None:
    root, deep = Node(), Node(1)
    left, right = Node(0), Node(0, entry=(torch.ones(1),))
    root.add(left)
    root.add(right)
    left.add(deep)
    assert {id(node) for node in root.below()} == {id(left), id(right), id(deep)} and len(list(root.below())) == 3
    root.retain([right])
    assert root.children == [right]
    root.retain([])
    assert root.children == [] and root.next is None


def filled(tokens: int) -> Any:
    cache = DynamicCache()
    cache.update(torch.zeros(1, 1, tokens, 2), torch.zeros(1, 1, tokens, 2), 0)
    return cache.layers[0]


def node(layer: int, tokens: int, **more: Any) -> Node:
    return Node(layer, cache=filled(tokens), **more)


def test_bytes_are_those_of_keys_values_states_and_output() -> None:
    keys = 2 * 5 * 2 * 4
    assert node(0, 5).bytes == keys
    assert node(0, 5, output=torch.zeros(1, 5, 3)).bytes == keys + 60
    assert node(0, 5, entry=(torch.zeros(1, 5, 3), torch.zeros(2))).bytes == keys + 60 + 8


def test_what_does_not_fit_is_not_kept() -> None:
    trunk = Trunk([], budget=200)
    root = trunk.root
    first, second, third = node(0, 5), node(0, 7, entry=(torch.zeros(2),)), node(0, 5, entry=(torch.zeros(4),))
    assert trunk.keep(root, first) and trunk.held == 80
    assert trunk.keep(root, second) and (trunk.held, trunk.peak) == (200, 200)  # to the last byte
    assert not trunk.keep(root, third) and trunk.held == 200 and root.children == [first, second]
    assert trunk.keep(root, first) and trunk.held == 200
    assert Trunk([]).keep(Node(), node(0, 10_000))


def test_a_method_is_waited_for_once() -> None:
    one, two = FastV(ratio=0.5), FastV(ratio=0.5)
    trunk = Trunk([one, two, PDrop()])
    assert not trunk.closed and (trunk.ran, trunk.spared, trunk.held, trunk.peak) == ([], [], 0, 0)
    assert trunk.probes(32) == {(Rows("last"), 1), *((LookAhead(), layer) for layer in (8, 16, 24))}
    trunk.done(one)
    assert trunk.waiting[0] is two and len(trunk.waiting) == 2  # equal methods are two
    trunk.done(one)
    assert len(trunk.waiting) == 2
    trunk.close()
    assert (trunk.waiting, trunk.held, trunk.closed, trunk.root.children) == ([], 0, True, [])


def test_methods_stand_where_the_model_lets_them() -> None:
    one, two = FastV(ratio=0.5), FastV(ratio=0.25)
    trunk, moved = Trunk([one, two]), dict[int, FastV]()

    def place(method: Any) -> Any:
        return moved.setdefault(id(method), FastV(ratio=method.ratio, schedule=K(3)))

    assert trunk.placed(one, place) is moved[id(one)] and trunk.waiting == [moved[id(one)], moved[id(two)]]
    assert trunk.placed(two, place) is moved[id(two)] and len(moved) == 2
    stranger = NoReduction()
    assert trunk.placed(stranger, lambda method: method) is stranger


def test_notes_are_those_of_the_same_tokens_in_the_same_states() -> None:
    trunk, states = Trunk([]), torch.ones(1, 2, 3)
    first = trunk.notes([A], states)
    first[0]["key"] = 1
    assert trunk.notes([A.clone()], states.clone()) is first and len(first) == 1
    assert trunk.notes([B], states) == [{}] and trunk.notes([A], states * 2) == [{}]


def prefill(*layouts: Layout, depth: int = 4) -> Any:
    return SimpleNamespace(layouts=layouts, depth=depth)


def test_what_nobody_comes_by_is_forgotten() -> None:
    """FastV cuts at layer 2: it comes by the whole layers 0 and 1; nobody waits for the rest."""
    layout = Layout.of(30, (3, (4, 2, 2)))
    first, second = NoReduction(), FastV(ratio=0.25, schedule=K(2))
    trunk = Trunk([first, second])
    own, coming = trunk.begin(first, prefill(layout), None, lent=4)
    assert own.reducer is first and [one.reducer for one in coming] == [second] and trunk.waiting == [second]
    above = trunk.root
    for layer in range(4):
        made = node(layer, 5, visual=(16,))
        assert trunk.keep(above, made)
        assert [one.reducer for one in trunk.coming(made, coming)] == ([second] if layer < 2 else [])
        above = made
    cut = node(2, 3, visual=(4,), entry=(torch.zeros(1),), cutter=FastV)
    assert trunk.root.next is not None and trunk.root.next.next is not None
    trunk.keep(trunk.root.next.next, cut)
    trunk.notes([A], torch.ones(1, 2, 3))
    trunk.prune()
    assert {found.layer for found in trunk.root.below()} == {0, 1, 2} and cut in list(trunk.root.below())
    assert trunk.held == 80 + 80 + 48 + 4 and trunk._entered == []  # FastV is told nothing at the entrance
    trunk.begin(second, prefill(layout), None, lent=4)
    trunk.prune()
    assert list(trunk.root.below()) == [] and trunk.held == 0


def test_notes_stay_for_who_acts_at_the_entrance() -> None:
    layout, later = Layout.of(30, (3, (4, 2, 2))), FastV(ratio=0.5, schedule=K(2))
    for waiting, stay in ((later, False), (DivPrune(), True)):
        trunk = Trunk([waiting])
        trunk.begin(NoReduction(), prefill(layout), None, lent=4)
        trunk.notes([A], torch.ones(1, 2, 3))
        trunk.prune()
        assert bool(trunk._entered) is stay
