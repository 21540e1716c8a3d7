"""What is refused at the start of a forward: masks, padding and answers of methods, each by hand."""

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from winnow.models.engine.checks import check_ids, check_mask, check_padding, check_reduction, check_sites
from winnow.reducers.core.base import Reducer
from winnow.reducers.core.errors import UnsupportedError, WinnowError
from winnow.reducers.core.layout import Layout, Span
from winnow.reducers.core.reduction import Reduction, View
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import Tower

IDS = torch.zeros(2, 4, dtype=torch.long)


@pytest.mark.parametrize(
    "mask", [torch.ones(2, 4, dtype=torch.long), torch.ones(2, 7, dtype=torch.bool), torch.tensor([[0, 0, 1, 1.0]] * 2)]
)
def test_masks_of_0_and_1_over_all_tokens_pass(mask: Tensor) -> None:
    assert check_mask(mask, IDS) is mask and check_mask(None, IDS) is None


@pytest.mark.parametrize(
    "mask",
    [
        torch.ones(2, 1, 4, 4), torch.tensor([[0.0, -1e9, 1, 1]] * 2), torch.full((2, 4), 2), torch.ones(1, 4),
        torch.ones(2, 3), {"full_attention": torch.ones(2, 4)}, "causal",
    ],
)  # fmt: skip
def test_other_masks_are_refused(mask: Any) -> None:
    with pytest.raises(UnsupportedError, match="4-D, additive and dict masks"):
        check_mask(mask, IDS)


def test_prompts_are_padded_on_the_left() -> None:
    left = torch.tensor([[0, 0, 1, 1], [1, 1, 1, 1]])
    assert torch.equal(check_padding(left, IDS), left) and torch.equal(check_padding(None, IDS), torch.ones_like(IDS))
    for wrong in ([1, 1, 1, 0], [1, 0, 1, 1], [0, 1, 0, 1], [0, 0, 0, 0]):
        with pytest.raises(UnsupportedError, match="padded on the left"):
            check_padding(torch.tensor([[1, 1, 1, 1], wrong]), IDS)


def test_in_a_later_turn_the_answers_last_token_stands_before_the_padding() -> None:
    mask = torch.tensor([[1, 0, 0, 1], [1, 1, 1, 1]])
    assert torch.equal(check_padding(mask, IDS, later=True), mask)
    with pytest.raises(UnsupportedError, match="padded on the left"):
        check_padding(mask, IDS)
    with pytest.raises(UnsupportedError, match="padded on the left"):
        check_padding(torch.tensor([[1, 1, 0, 1], [1, 1, 1, 1]]), IDS, later=True)


def test_prompts_say_where_their_visual_tokens_are() -> None:
    assert check_ids(IDS) is IDS
    with pytest.raises(UnsupportedError, match="pass input_ids"):
        check_ids(None)


@dataclass(frozen=True)
class At(Reducer):
    """Acts at given sites."""

    places: tuple[Site, ...] = ()

    def sites(self, depth: int, tower: Tower | None = None) -> tuple[Site, ...]:
        return self.places


TOWER = Tower(blocks=4, used=3, rows=2, cols=2, cls=True)


@pytest.mark.parametrize(
    "site", [Site.entrance(8), Site.layer(7, 8), Site.inside(0, 8), Site.tower(2, TOWER), Site.features(TOWER)]
)
def test_sites_of_the_model_pass(site: Site) -> None:
    check_sites(At((site,)), 8, TOWER)


@pytest.mark.parametrize(
    "site", [Site.layer(8, 8), Site.layer(2, 9), Site.tower(3, TOWER), Site.tower(0, Tower(4, 3, 2, 3, True))]
)
def test_sites_that_no_forward_passes_are_refused(site: Site) -> None:
    with pytest.raises(WinnowError, match=r"acts at .*, but the model has a vision tower of 3 blocks and 8 LLM layers"):
        check_sites(At((Site.entrance(8), site)), 8, TOWER)


def test_a_tower_that_methods_cannot_act_in_has_no_sites() -> None:
    with pytest.raises(WinnowError, match=r"but the model has 8 LLM layers"):
        check_sites(At((Site.tower(0, TOWER),)), 8, None)


def view() -> View:
    """Eight tokens: visual ones at 2 to 5, of which 4 is gone already."""
    gone = torch.tensor([-1, -1, -1, -1, 1, -1, -1, -1])
    index = (gone < 0).nonzero().flatten()
    prompt = Layout(8, (Span(torch.arange(2, 6), 1, 2, 2),))
    return View(prompt, index, torch.zeros(7, 4), Site.layer(2, 8), gone, torch.ones(8, dtype=torch.long), {})


def sparse(rows: int, columns: int) -> Tensor:
    return torch.eye(max(rows, columns))[:rows, :columns].to_sparse()


@pytest.mark.parametrize(
    "answer",
    [
        Reduction(torch.tensor([2, 5])),
        Reduction(torch.tensor([], dtype=torch.long)),
        Reduction(torch.tensor([2, 3, 5]), positions="compact"),
        Reduction(torch.tensor([2, 5]), sparse(2, 3)),
        Reduction(torch.tensor([2]), drop_text=torch.tensor([1, 6])),
    ],
)
def test_answers_that_can_be_carried_out_pass(answer: Reduction) -> None:
    check_reduction(answer, view(), At())


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Reduction(torch.tensor([2, 6])), "not visual tokens"),
        (Reduction(torch.tensor([2, 4])), "already gone"),
        (Reduction(torch.tensor([5, 2])), "not strictly ascending"),
        (Reduction(torch.tensor([2, 2])), "not strictly ascending"),
        (Reduction(torch.tensor([2, 5]), sparse(2, 4)), r"shape \(2, 4\), expected \(2, 3\)"),
        (Reduction(torch.tensor([2, 5]), sparse(3, 3)), r"shape \(3, 3\), expected \(2, 3\)"),
        (Reduction(torch.tensor([2]), drop_text=torch.tensor([7])), "first or last token"),
        (Reduction(torch.tensor([2]), drop_text=torch.tensor([0])), "first or last token"),
        (Reduction(torch.tensor([2]), drop_text=torch.tensor([4])), "drops text that is gone"),
    ],
)
def test_other_answers_are_refused(answer: Reduction, why: str) -> None:
    with pytest.raises(WinnowError, match=why):
        check_reduction(answer, view(), At())


def test_numbers_without_gaps_mean_nothing_in_three_dimensions() -> None:
    check_reduction(Reduction(torch.tensor([2])), view(), At(), mrope=True)
    with pytest.raises(UnsupportedError, match="positions=compact, undefined under M-RoPE"):
        check_reduction(Reduction(torch.tensor([2]), positions="compact"), view(), At(), mrope=True)
