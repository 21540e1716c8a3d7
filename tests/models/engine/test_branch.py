"""One method's way through shared layers, by hand: what is recalled, what is computed, what is kept."""

from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from winnow.models.engine.branch import Branch
from winnow.models.engine.prefill import Prefill
from winnow.models.engine.trunk import Trunk
from winnow.models.transformers_api import tensors_of
from winnow.reducers.core.base import Reducer
from winnow.reducers.core.layout import Layout
from winnow.reducers.core.probes import LookAhead, Rows
from winnow.reducers.core.schedule import K
from winnow.reducers.core.site import Site
from winnow.reducers.fastv import FastV
from winnow.reducers.none import NoReduction

DEPTH = 5
LAYOUT = Layout.of(8, (1, (1, 2, 2)))


class Run:
    """A model whose layer n adds n + 1 to states, and whose statistic is the layer's number."""

    def __init__(self, trunk: Trunk, method: Reducer, lent: int = DEPTH) -> None:
        self.method, self.cache = method, DynamicCache()
        self.prefill = Prefill(method, [LAYOUT], LAYOUT.length, DEPTH)
        self.branch = Branch(trunk, method, self.prefill, None, self.cache, lent)
        self.computed: list[int] = []

    def layer(self, number: int, hidden: Tensor) -> Tensor:
        signals = self.prefill.signals
        if number:
            hidden = self.prefill.reduce(Site.layer(number, DEPTH), hidden, None)
        self.prefill.record()

        def compute() -> Tensor:
            self.computed.append(number)
            keys = hidden[:, None]
            self.cache.update(keys, keys, number)
            for probe in signals._asked(number, (Rows,)):
                signals.values[0][probe, number] = torch.arange(8.0) + number
            return hidden + number + 1

        around = (torch.zeros(1, hidden.shape[1]), torch.ones(1, hidden.shape[1]))
        return self.branch.run(number, hidden, around, compute)

    def whole(self) -> Tensor:
        hidden = torch.zeros(1, 8, 2)
        for number in range(DEPTH):
            hidden = self.layer(number, hidden)
        self.branch.trunk.prune()
        return hidden


def test_whole_layers_run_once_and_every_cache_is_filled() -> None:
    cells = [NoReduction(), FastV(ratio=0.5, schedule=K(2)), FastV(ratio=0.5, schedule=K(4)), FastV(schedule=K(2))]
    trunk, runs = Trunk(cells), list[Run]()
    for cell in cells:
        runs.append(Run(trunk, cell))
        found = runs[-1].whole()
        assert torch.equal(found, torch.full_like(found, 15.0))
        held = [tensors_of(layer)[0][0, 0, 0, 0].item() for layer in runs[-1].cache.layers]
        assert held == [0, 1, 3, 6, 10]
    assert [run.computed for run in runs] == [[0, 1, 2, 3, 4], [2, 3, 4], [4], []]
    lengths = [[layer.keys.shape[2] for layer in run.cache.layers] for run in runs]
    assert lengths == [[8] * 5, [8, 8, 6, 6, 6], [8, 8, 8, 8, 6], [8, 8, 6, 6, 6]]
    assert len(trunk.ran) == 9 and trunk.spared == [8, 8, 8, 8, 8, 8, 8, 8, 6, 6, 6]
    assert list(trunk.root.below()) == [] and trunk.held == 0


def test_statistics_that_others_will_ask_for_are_computed_with_the_layer() -> None:
    first, second = NoReduction(), FastV(schedule=K(2))
    trunk = Trunk([first, second])
    own = Run(trunk, first)
    own.whole()
    assert (Rows("last"), 1) in own.prefill.signals.values[0] and own.prefill.signals.extra == set()
    other = Run(trunk, second)
    other.whole()
    assert other.computed == [2, 3, 4]
    assert other.prefill.signals.values[0][Rows("last"), 1].tolist() == [1 + n for n in range(8)]


def test_a_layer_without_the_statistic_is_computed_again() -> None:
    first, second = NoReduction(), FastV(schedule=K(2))
    trunk = Trunk([first, second])
    Run(trunk, first).whole()
    (first_layer,) = trunk.root.children
    (second_layer,) = first_layer.children
    second_layer.measured = [{}]
    other = Run(trunk, second)
    other.whole()
    assert 1 in other.computed and other.prefill.signals.values[0][Rows("last"), 1].tolist() == [
        1 + n for n in range(8)
    ]


def test_layers_that_lend_their_keys_are_computed_by_each_method() -> None:
    first, second = NoReduction(), FastV(schedule=K(4))
    trunk = Trunk([first, second])
    computed = []
    for one in (first, second):
        run = Run(trunk, one, lent=2)
        run.whole()
        computed.append(run.computed)
    assert computed == [[0, 1, 2, 3, 4], [2, 3, 4]]


def test_nothing_is_kept_for_nobody() -> None:
    trunk = Trunk([NoReduction()])
    run = Run(trunk, trunk.waiting[0])
    run.whole()
    assert run.computed == [0, 1, 2, 3, 4] and trunk.peak == 0 and trunk.spared == []


def test_what_does_not_fit_the_budget_is_computed_again() -> None:
    first, second = NoReduction(), FastV(schedule=K(3))
    trunk = Trunk([first, second], budget=1)
    Run(trunk, first).whole()
    other = Run(trunk, second)
    other.whole()
    assert other.computed == [0, 1, 2, 3, 4] and trunk.held == 0


def test_what_was_seen_ahead_is_remembered_with_its_layer() -> None:
    trunk = Trunk([NoReduction(), FastV(schedule=K(3))])
    run = Run(trunk, trunk.waiting[0])
    run.layer(0, torch.zeros(1, 8, 2))
    told = run.prefill.signals.values[0]
    for probe, layer in ((LookAhead(), 1), (LookAhead(), 0), (Rows("all"), 1)):
        told[probe, layer] = torch.ones(8)
    run.branch.seen_ahead(1)
    assert run.branch.node is not None and set(run.branch.node.measured[0]) == {(LookAhead(), 1)}
    lonely: Any = SimpleNamespace(node=None)
    Branch.seen_ahead(lonely, 1)
