"""What all methods share: plans, shares, rankings, knobs."""

from dataclasses import dataclass

import pytest
import torch

from winnow.reducers.core.base import Reducer, check_ratio, halvings, sites_of, top
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.layout import Grid
from winnow.reducers.core.schedule import Cuts, K
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import Tower
from winnow.reducers.fastv import FastV

TOWER = Tower(blocks=4, used=3, rows=4, cols=4, cls=False)


@dataclass(frozen=True)
class Halves(Reducer):
    """Halves wherever it is told to."""

    where: tuple[Site, ...] = ()

    def sites(self, depth: int, tower: Tower | None = None) -> tuple[Site, ...]:
        return tuple(site for site in self.where if tower or not site.in_tower)

    def count(self, site: Site, grid: Grid, present: int) -> int:
        return present // 2


SPANS = [Grid(2, 16), Grid(1, 16)]


@pytest.mark.parametrize(
    ("site", "attention", "mlp"),
    [
        (Site.entrance(4), [24] * 4, [24] * 4),
        (Site.layer(2, 4), [48, 48, 24, 24], [48, 48, 24, 24]),
        (Site.inside(2, 4), [48, 48, 48, 24], [48, 48, 24, 24]),
        (Site.pixels(4), [24] * 4, [24] * 4),
        (Site.decode(1, 4), [48] * 4, [48] * 4),
    ],
)
def test_a_plan_follows_the_sites(site: Site, attention: list[int], mlp: list[int]) -> None:
    assert Halves((site,)).plans(SPANS, 4) == (attention, mlp) and Halves((site,)).plan(SPANS, 4) == attention


def test_a_plan_begins_with_what_leaves_the_tower() -> None:
    method = Halves((Site.tower(1, TOWER), Site.features(TOWER), Site.layer(3, 4)))
    assert method.plan_tower(4, TOWER) == [16, 8, 8, 4]
    assert method.plan(SPANS, 4, TOWER) == [12, 12, 12, 6] and method.plan(SPANS, 4) == [48, 48, 48, 24]
    assert method.acts_in_tower(4, TOWER) and not method.acts_in_tower(4, None)


def test_shares_round_and_leave_one() -> None:
    method = FastV(ratio=0.25, schedule=Cuts((2, 4)))
    first, second = method.sites(8)
    assert [method.count(site, Grid(1, 64), 64) for site in (first, second)] == [32, 16]
    assert method.count(second, Grid(1, 64), 5) == 5 and method.count(second, Grid(1, 2), 2) == 1
    assert method.count(first, Grid(1, 64), 0) == 0
    assert sites_of(None, 8) == (Site.entrance(8),) and sites_of(K(3), 8) == (Site.layer(3, 8),)


def test_top_is_ascending_and_ties_go_to_the_lower_index() -> None:
    assert top(torch.tensor([1.0, 3.0, 2.0, 3.0, 3.0]), 2).tolist() == [1, 3]
    assert top(torch.tensor([0.0, 5.0, 1.0, 9.0]), 3).tolist() == [1, 2, 3] and top(torch.zeros(3), 0).tolist() == []


@pytest.mark.parametrize("ratio", [0, -0.1, 1.01, 2])
def test_a_ratio_is_a_share(ratio: float) -> None:
    with pytest.raises(WinnowError, match=rf"share={ratio} is not allowed: .* 0 < share <= 1"):
        check_ratio(ratio, "share")
    for allowed in (1e-9, 0.5, 1):
        check_ratio(allowed)


def test_halvings() -> None:
    assert [halvings(ratio) for ratio in (1, 0.5, 0.25, 0.0625, 0.254, 0.246)] == [0, 1, 2, 4, 2, 2]
    for ratio in (0.3, 0.26, 0.75):
        with pytest.raises(WinnowError, match=f"ratio={ratio} is not allowed: this method halves"):
            halvings(ratio)


def test_knobs_are_resolved_and_everything_is_kept_with_a_ratio_of_one() -> None:
    knobs = FastV(ratio=0.25, schedule=K(-2)).knobs(8)
    assert knobs["schedule"] == "k=6" and knobs["ratio"] == 0.25
    assert FastV(ratio=0.25).keep_all() == FastV(ratio=1.0) and Halves().keep_all() is None
