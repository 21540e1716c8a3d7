"""A number of tokens instead of a share."""

import pytest

from winnow.reducers.core.absolute import Absolute
from winnow.reducers.core.layout import Grid
from winnow.reducers.core.schedule import K
from winnow.reducers.core.site import Site
from winnow.reducers.fastv import FastV
from winnow.reducers.random import RandomDrop

METHOD = Absolute(FastV(ratio=0.9, schedule=K(2)), 16)


@pytest.mark.parametrize(
    ("grids", "ratio"),
    [
        ([Grid(1, 64)], 0.25),
        ([Grid(4, 64)], 16 / 256),
        ([Grid(1, 64), Grid(1, 16)], 32 / 80),  # two pictures
        ([Grid(1, 64), Grid(1, 64, view=1)], 16 / 128),  # two views of one
        ([Grid(1, 8)], 1.0),
        ([], 1.0),
    ],
)
def test_the_ratio_that_leaves_the_number(grids: list[Grid], ratio: float) -> None:
    assert METHOD.of(grids) == FastV(ratio=ratio, schedule=K(2))


def test_in_other_respects_it_is_the_method() -> None:
    site, grid = Site.layer(2, 8), Grid(1, 64)
    assert METHOD.sites(8) == (site,) and METHOD.count(site, grid, 64) == 16
    assert METHOD.plan([(1, 64)], 8) == [64, 64, *[16] * 6] and METHOD.plan([(1, 64), (1, 64)], 8)[-1] == 32
    assert METHOD.probes(8) == METHOD.method.probes(8) and METHOD.name == "fastv" and METHOD.rows == METHOD.method.rows  # type: ignore[attr-defined]
    assert METHOD.keep_all() == METHOD.method.keep_all()
    knobs = METHOD.knobs(8)
    assert (knobs["ratio"], knobs["tokens"], knobs["schedule"]) == (None, 16, "k=2")
    assert not METHOD.seeded and Absolute(RandomDrop(ratio=0.5), 4).seeded
    with pytest.raises(AttributeError):
        METHOD._nothing  # noqa: B018
