"""How many tokens merge in which block of a tower, by hand, and who may guide."""

from typing import Literal

import pytest
import torch

from winnow.reducers.cgsm import CGSM
from winnow.reducers.core.errors import UnsupportedError, WinnowError
from winnow.reducers.core.tower import ClsRow, ColumnMean, PooledByHead, TextMatch, Tower
from winnow.reducers.core.tower_methods import arrange, guide_probe, head_probe, merges, text_probe
from winnow.reducers.evit import EViT
from winnow.reducers.hiprune import HiPrune


def tower(patches: int, blocks: int = 4, used: int | None = None, cls: bool = True, slots: int | None = None) -> Tower:
    return Tower(blocks, blocks if used is None else used, 1, patches, cls, slots)


@pytest.mark.parametrize(
    ("patches", "r", "counts"),
    [
        (20, 3, [3, 3, 3, 3]), (20, 6, [6, 6, 4, 2]), (5, 9, [2, 1, 1, 0]), (1, 3, [0, 0, 0, 0]), (20, 0, [0, 0, 0, 0]),
        (20, (1, 5), [1, 5, 0, 0]), (20, (9, 1, 6, 6), [9, 1, 5, 2]), (20, (0, 11, 0, 3), [0, 10, 0, 3]),
    ],
)  # fmt: skip
def test_numbers_of_merges_are_at_most_half(patches: int, r: int | tuple[int, ...], counts: list[int]) -> None:
    assert merges(tower(patches), r, 1.0) == counts


def test_blocks_behind_the_features_merge_nothing() -> None:
    assert merges(tower(20, used=3), 2, 1.0) == [2, 2, 2] and merges(tower(20, used=2), (1, 2, 3), 1.0) == [1, 2]


@pytest.mark.parametrize(
    ("r", "inflection", "counts"),
    [
        (4, 0.0, [4, 4, 4, 4]),
        (4, 1.0, [0, 2, 5, 8]),
        (4, -1.0, [8, 5, 2, 0]),
        (4, 0.5, [2, 3, 4, 6]),
    ],
)
def test_a_ramp_goes_from_one_minus_to_one_plus_the_inflection(r: int, inflection: float, counts: list[int]) -> None:
    """By (1 + 2 * inflection * block / 3): 8 / 3 = 2.67 a block and so on, rounded down."""
    assert merges(tower(100), r, 1.0, inflection) == counts
    assert merges(tower(100, blocks=1), 4, 1.0, 0.5) == [2]


@pytest.mark.parametrize(
    ("patches", "blocks", "ratio", "counts"),
    [
        (20, 4, 0.5, [3, 3, 2, 2]), (20, 4, 1.0, [0, 0, 0, 0]), (16, 4, 1 / 16, [8, 4, 2, 1]), (16, 2, 0.25, [8, 4]),
        (17, 1, 9 / 17, [8]), (20, 3, 0.15, [8, 6, 3]), (3, 2, 0.01, [1, 1]),
    ],
)  # fmt: skip
def test_a_ratio_is_spread_evenly_as_far_as_halving_allows(
    patches: int, blocks: int, ratio: float, counts: list[int]
) -> None:
    assert merges(tower(patches, blocks), None, ratio) == counts


def test_a_ratio_out_of_reach_names_what_can_be_reached() -> None:
    with pytest.raises(WinnowError, match=r"2 vision blocks .* leave 5 of 20, choose ratio >= 0\.25"):
        merges(tower(20, 2), None, 0.1)
    with pytest.raises(WinnowError, match=r"leave 5 of 20, choose ratio >= 0\.5"):
        merges(tower(20, 2, slots=10), None, 0.4)
    assert sum(merges(tower(20, 2, slots=10), None, 0.5)) == 15 and sum(merges(tower(20, 2, slots=40), None, 0.5)) == 10


@pytest.mark.parametrize(("cls", "guide", "probe"), [(True, "auto", ClsRow()), (True, "cls", ClsRow()),
                                                     (True, "mean", ColumnMean()), (False, "auto", ColumnMean()),
                                                     (False, "mean", ColumnMean())])  # fmt: skip
def test_who_guides(cls: bool, guide: Literal["auto", "cls", "mean"], probe: object) -> None:
    assert guide_probe(guide, tower(4, cls=cls)) == probe


def test_what_a_tower_lacks_is_refused() -> None:
    clip, siglip = tower(4, used=3), tower(4, cls=False)
    assert text_probe("x", clip) == ((TextMatch("x", cosine=True, whole=True), 3),)
    assert text_probe("x", clip, False, False) == ((TextMatch("x", cosine=False, whole=False), 3),)
    assert head_probe("x", siglip) == ((PooledByHead("x"), 4),)
    with pytest.raises(UnsupportedError, match="needs a vision tower with a CLS token"):
        guide_probe("cls", siglip)
    with pytest.raises(UnsupportedError, match="is none of CLIP"):
        text_probe("x", siglip)
    with pytest.raises(UnsupportedError, match="is one of CLIP"):
        head_probe("x", clip)


def test_merged_tokens_fill_their_places_in_the_order_that_is_asked_for() -> None:
    weights, slots = torch.eye(4)[[3, 0, 1]], torch.tensor([3, 0, 1])
    official, raster = arrange(weights, slots, "official"), arrange(weights, slots, "raster")
    assert official.keep.tolist() == raster.keep.tolist() == [0, 1, 3]
    assert official.weights is not None and official.weights.to_dense().argmax(1).tolist() == [3, 0, 1]
    assert raster.weights is not None and raster.weights.to_dense().argmax(1).tolist() == [0, 1, 3]


def test_cutters_cut_by_equal_factors_at_shares_of_the_depth() -> None:
    clip = Tower(24, 23, 24, 24, cls=True)
    method = EViT(ratio=0.125)
    present, left = 576, []
    for site in method.sites(28, clip):
        present = method.count(site, clip.grid, present)
        left.append(present)
    assert left == [288, 144, 72] and EViT(at=(0.5, 0.99, 0.5, 0.0)).blocks(clip) == (0, 12)  # block 23 is not passed


def test_features_keep_a_share_and_one_at_least() -> None:
    clip = Tower(24, 23, 24, 24, cls=True, slots=144)
    (site,) = HiPrune().sites(28, clip)
    counts = [HiPrune(ratio=ratio).count(site, clip.grid, 576) for ratio in (1.0, 0.5, 1e-6)]
    assert counts == [576, 72, 1] and HiPrune(ratio=0.5).count(site, clip.grid, 10) == 10
    assert CGSM(r=5).count(CGSM(r=5).sites(28, clip)[0], clip.grid, 576) == 571
