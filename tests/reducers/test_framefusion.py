"""FrameFusion against its released code, written as loops that remember what they did."""

import itertools
from dataclasses import replace

import pytest
import torch
from seeds import seeds
from tokens import cosine
from torch import Tensor
from views import layout, view

from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.layout import Grid
from winnow.reducers.core.probes import Rows
from winnow.reducers.core.site import Site
from winnow.reducers.framefusion import FrameFusion, State


class Released:
    """One video on its way through the layers."""

    def __init__(self, method: FrameFusion, frames: int, size: int, depth: int) -> None:
        self.method, self.size, self.layers = method, size, method.layers or depth
        self.present = list(range(frames * size))
        self.merged: list[float] = []
        self.merging = self.pruning = True

    def bound(self) -> float:
        left, spent = 1.0, 0.0
        for share in self.merged:
            left *= 1 - share
            spent += left
        rest = max(0.0, self.layers * self.method.ratio - spent)
        return 1 - min(1.0, rest / ((self.layers - len(self.merged)) * left))

    def step(self, states: Tensor, attention: Tensor) -> dict[int, list[int]]:
        """Which tokens each of those that are left stands for."""
        stands = {token: [token] for token in self.present}
        if not self.merging and self.pruning:
            self.pruning = False
            count = max(1, round(len(self.present) * (1 - self.bound())))
            kept = sorted(self.present, key=lambda token: (-float(attention[token]), token))[:count]
            stands = {token: [token] for token in sorted(kept)}
        elif self.merging:
            by_place = sorted(self.present, key=lambda token: (token % self.size, token))
            alike = [-2.0]
            for before, token in itertools.pairwise(by_place):
                same = before % self.size == token % self.size
                alike.append(cosine(states[before].tolist(), states[token].tolist()) if same else -2.0)
            total, bound = len(self.present), self.bound()
            goes = [i for i, value in enumerate(alike) if value >= self.method.tau]
            if len(goes) / total < bound:
                self.merged.append(len(goes) / total)
                self.merging = len(goes) / total >= self.method.least
            else:
                goes = sorted(range(total), key=lambda i: (-alike[i], i))[: int(bound * total)]
                self.merging = self.pruning = False
            stands, head = {}, -1
            for i, token in enumerate(by_place):
                head = head if i in goes else token
                stands.setdefault(head, []).append(token)
        self.present = sorted(stands)
        return stands


def drawn(seed: int) -> tuple[FrameFusion, int, int, int, torch.Generator]:
    random = torch.Generator().manual_seed(seed)
    frames, size = (int(n) for n in torch.randint(1, 7, (2,), generator=random))
    method = FrameFusion(
        ratio=[0.3, 0.5, 0.7, 0.15][seed % 4], tau=[0.6, 0.2, 0.9][seed % 3], layers=28 if seed % 5 == 0 else None
    )
    return method, frames, size, 4 + seed % 5, random


@seeds(200)
def test_it_is_the_released_code(seed: int) -> None:
    method, frames, size, depth, random = drawn(seed)
    prompt, released = layout((frames, 1, size)), Released(method, frames, size, depth)
    start, gone = int(prompt.visual[0]), torch.full((prompt.length,), -1)
    scene = torch.randn(1, size, 5, generator=random, dtype=torch.double)
    told = None
    for site in method.sites(depth):
        states = torch.randn(prompt.length, 5, generator=random, dtype=torch.double)
        moving = torch.rand(frames, size, 1, generator=random).double()
        states[prompt.visual] = (scene + moving * states[prompt.visual].view(frames, size, 5)).flatten(0, 1)
        attention = torch.randint(0, 4, (prompt.length,), generator=random).float()
        seen = view(prompt, site, {(Rows("last"), site.number): attention}, gone, depth, states)
        answer = method.reduce(replace(seen, told=told))
        told = told if answer is None else answer.told
        before = released.present
        expected = released.step(states[prompt.visual], attention[prompt.visual])
        keep = prompt.visual[before] if answer is None else answer.keep
        assert (keep - start).tolist() == released.present
        if answer is not None and answer.weights is not None:
            for row, (_, members) in zip(answer.weights.to_dense(), sorted(expected.items()), strict=True):
                assert [before[i] for i in row.nonzero().flatten()] == sorted(members)
                assert torch.allclose(row[row > 0], torch.tensor(1 / len(members)))
        went = torch.isin(torch.arange(prompt.length), prompt.visual) & (gone < 0)
        gone[went & ~torch.isin(torch.arange(prompt.length), keep)] = site.first_without


def test_the_budget_is_the_mean_over_layers() -> None:
    """Nothing looks alike: all of it is pruned in the first layer."""
    plan = FrameFusion(ratio=0.3).plan([Grid(8, 196, 14)], 28)
    assert plan[0] == 1568 and len(set(plan[1:])) == 1
    assert abs(sum(plan) / 28 / 1568 - 0.3) < 1e-3
    assert FrameFusion(ratio=0.01).plan([Grid(1, 100, 10)], 4) == [100, 1, 1, 1]


def test_each_span_goes_its_own_way() -> None:
    """The second of two videos has ended; the first goes on."""
    prompt, method = layout((3, 1, 2), (3, 1, 2)), FrameFusion(ratio=0.5)
    seen = view(prompt, Site.inside(0, 6), {}, None, 6, torch.ones(prompt.length, 3))
    answer = method.reduce(replace(seen, told=[State((0.2,)), State((), False, False)]))
    assert len(answer.keep) == 4 + 6 and answer.told == [State((0.2,), False, False), State((), False, False)]
    assert method.reduce(replace(seen, told=[State((), False, False)] * 2)) is None


@pytest.mark.parametrize("options", [{"tau": 2.0}, {"least": -0.1}, {"layers": 0}, {"ratio": 0.0}])
def test_bad_numbers_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(WinnowError, match="is not allowed"):
        FrameFusion(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("merged", "depth", "ratio", "share"),
    [
        ([], 4, 0.5, 0.5),
        ([0.5], 4, 0.5, 1 - (4 * 0.5 - 0.5) / (3 * 0.5)),
        ([0.2, 0.25], 4, 0.5, 1 - (2 - 0.8 - 0.6) / (2 * 0.6)),
        ([0.0, 0.0], 4, 0.25, 1.0),  # all is spent
        ([0.9], 4, 0.9, 0.0),  # more is left than is there
        ([0.0] * 4, 4, 0.5, 0.0),  # no layer is left
        ([0.0] * 5, 4, 0.5, 0.0),
    ],
)
def test_share_that_has_to_go_at_once(merged: list[float], depth: int, ratio: float, share: float) -> None:
    assert FrameFusion(ratio=ratio).share(merged, depth) == pytest.approx(share)
    assert FrameFusion(ratio=ratio, layers=depth).share(merged, 28) == pytest.approx(share)
