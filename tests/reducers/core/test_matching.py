"""Weights of merging, and matching of halves, against loops."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from seeds import seeds

from winnow.reducers.core.matching import (
    bipartite_match,
    block_diagonal,
    follow,
    group_mean,
    largest,
    match_work,
    merge_into,
    one_each,
    rank_pairs,
)  # fmt: skip


def test_means_of_groups() -> None:
    group = torch.tensor([1, 0, -1, 1, 2])
    assert group_mean(group, 3).to_dense().tolist() == [[0, 1, 0, 0, 0], [0.5, 0, 0, 0.5, 0], [0, 0, 0, 0, 1]]
    sized = group_mean(group, 3, torch.tensor([1, 5, 9, 3, 2])).to_dense()
    assert sized.tolist() == [[0, 1, 0, 0, 0], [0.25, 0, 0, 0.75, 0], [0, 0, 0, 0, 1]]


def test_tokens_as_they_are_in_any_order() -> None:
    found = one_each(torch.tensor([2, -1, 0, 2]), 4).to_dense()
    assert found.tolist() == [[0, 0, 1, 0], [0, 0, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0]]


def test_merging_into_anchors() -> None:
    visual = torch.tensor([4, 6, 7, 9, 12])
    made = merge_into(torch.tensor([6, 6, -1, 9, 9]), visual, "mean", torch.tensor([3, 1, 1, 1, 1]))
    assert made is not None and made.weights is not None
    assert made.keep.tolist() == [6, 9] and made.positions == "mean"
    assert made.weights.to_dense().tolist() == [[0.75, 0.25, 0, 0, 0], [0, 0, 0, 0.5, 0.5]]
    assert merge_into(visual, visual, "keep") is None
    whole = merge_into(torch.tensor([4, 4, 4, 4, 4]), visual, "keep")
    assert whole is not None and whole.keep.tolist() == [4]


def test_tokens_are_followed_through_one_more_merge() -> None:
    # Groups 0 and 1 become group 0, group 2 becomes group 1.
    group, share = torch.tensor([0, 0, 1, 2]), torch.tensor([0.5, 0.5, 1.0, 1.0])
    new, shares = follow(group, share, torch.tensor([0, 0, 1]))
    assert (new.tolist(), shares.tolist()) == ([0, 0, 0, 1], [0.25, 0.25, 0.5, 1.0])


def test_blocks_do_not_reach_into_one_another() -> None:
    first, second = torch.tensor([[1.0, 0.0, 2.0]]), torch.tensor([[3.0, 4.0], [0.0, 5.0]])
    found = block_diagonal([first.to_sparse(), second.to_sparse()]).to_dense()
    assert torch.equal(found, torch.block_diag(first, second))


@pytest.mark.parametrize(("tokens", "work"), [(2, 2 * 1 * 1 * 8 + 64), (5, 2 * 2 * 3 * 8 + 160), (1, 32)])
def test_work_of_a_matching(tokens: int, work: float) -> None:
    assert match_work(tokens, 8) == work


@settings(max_examples=25)
@given(st.integers(2, 9), st.integers(0, 99), st.sampled_from([0, 1]))
def test_each_token_of_a_half_has_its_most_similar_partner(n: int, seed: int, sources: int) -> None:
    metric = torch.randn(n, 3, generator=torch.Generator().manual_seed(seed))
    mine, others = [*range(sources, n, 2)], [*range(1 - sources, n, 2)]
    cosine = torch.nn.functional.cosine_similarity(metric[:, None], metric[None], dim=-1)
    best = {a: max(others, key=lambda b: float(cosine[a, b])) for a in mine}
    order = sorted(mine, key=lambda a: -float(cosine[a, best[a]]))
    source, partner = rank_pairs(metric, sources)  # type: ignore[arg-type]
    assert source.tolist() == order and partner.tolist() == [best[a] for a in order]
    for count in range(n + 2):
        taken = bipartite_match(metric, count, sources)  # type: ignore[arg-type]
        assert [one.tolist() for one in taken] == [one[: min(count, n // 2)].tolist() for one in (source, partner)]


def test_ties_go_to_the_lower_place_and_nothing_is_merged_of_nothing() -> None:
    source, partner = rank_pairs(torch.ones(6, 2))
    assert (source.tolist(), partner.tolist()) == ([0, 2, 4], [1, 1, 1])
    assert [one.tolist() for one in bipartite_match(torch.ones(1, 2), 3)] == [[], []]
    assert [one.tolist() for one in bipartite_match(torch.ones(6, 2), -1)] == [[], []]


@seeds(60)
def test_the_largest_of_each_row_are_those_of_a_stable_sort(seed: int) -> None:
    """With few different values, where ties go to the lower place, and with real numbers."""
    random = torch.Generator().manual_seed(seed)
    rows, wide = (int(n) for n in torch.randint(1, 12, (2,), generator=random))
    values = torch.randn(rows, wide, generator=random)
    values = (values * 2).round() if seed % 2 else values
    best = values.sort(dim=1, descending=True, stable=True)
    for count in range(1, wide + 1):
        found = largest(values, count)
        assert torch.equal(found[0], best.values[:, :count]) and torch.equal(found[1], best.indices[:, :count])
