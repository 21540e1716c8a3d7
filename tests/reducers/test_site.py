"""Sites: one place in one model each, in the order of a forward."""

import pytest

from winnow.reducers.core.site import Site, llm_sites, tower_sites
from winnow.reducers.core.tower import Tower

CLIP = Tower(blocks=4, used=3, rows=2, cols=2, cls=True)


def test_sites_come_in_the_order_of_a_forward() -> None:
    assert list(map(str, tower_sites(CLIP))) == ["tower(0)", "tower(1)", "tower(2)", "features"]
    assert list(map(str, llm_sites(2))) == ["entrance", "inside(0)", "layer(1)", "inside(1)"]
    assert len({*tower_sites(CLIP), *llm_sites(2)}) == 8


def test_the_input_of_layer_0_is_the_entrance() -> None:
    assert Site.layer(0, 28) == Site.entrance(28) != Site.layer(1, 28)


def test_a_site_lies_in_one_model() -> None:
    assert Site.layer(2, 28) != Site.layer(2, 32)
    assert Site.features(CLIP).vision == CLIP and Site.inside(2, 28).depth == 28
    with pytest.raises(TypeError, match=r"layer\(2\) lies in the LLM"):
        _ = Site.layer(2, 28).vision
    with pytest.raises(TypeError, match="features lies in the vision tower"):
        _ = Site.features(CLIP).depth


def test_the_first_layer_that_misses_what_is_dropped() -> None:
    firsts = [site.first_without for site in (*tower_sites(CLIP), *llm_sites(2))]
    assert firsts == [0, 0, 0, 0, 0, 1, 1, 2]
