"""Who was merged into whom, by hand and through several merges."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from winnow.models.engine.provenance import merged


def weights(*rows: dict[int, float], present: int) -> Tensor:
    """One row for each token kept: the columns that it is made of."""
    places = [(row, column) for row, members in enumerate(rows) for column in members]
    values = [value for members in rows for value in members.values()]
    return torch.sparse_coo_tensor(torch.tensor(places).T.reshape(2, -1), torch.tensor(values), (len(rows), present))


def tensors(*values: list[int]) -> list[Tensor]:
    return [torch.tensor(value) for value in values]


def test_a_token_follows_its_largest_weight_and_counts_in_each_group() -> None:
    # Token 1 gives 0.2 to the group at 0 and -0.7 to the one at 3; in the other order likewise.
    index, keep, anchor, size = tensors([0, 1, 2, 3], [0, 3], [0, 1, 2, 3], [1, 1, 1, 1])
    for first, second in ((0.2, -0.7), (0.2, 0.7)):
        found, sizes = merged(
            weights({0: 0.8, 1: first}, {1: second, 2: 0.1, 3: 0.2}, present=4), index, keep, anchor, size
        )
        assert found.tolist() == [0, 3, 3, 3] and sizes.tolist() == [2, 3]
    found, sizes = merged(weights({0: 0.8, 1: 0.7}, {1: 0.2, 2: 0.1, 3: 0.2}, present=4), index, keep, anchor, size)
    assert found.tolist() == [0, 0, 3, 3] and sizes.tolist() == [2, 3]


def test_of_equal_weights_the_later_group_counts() -> None:
    index, keep, anchor, size = tensors([0, 1, 2], [0, 2], [0, 1, 2], [1, 1, 1])
    assert merged(weights({0: 0.5, 1: 0.5}, {1: 0.5, 2: 0.5}, present=3), index, keep, anchor, size)[0].tolist() == [
        0,
        2,
        2,
    ]


def test_a_second_merge_takes_the_first_ones_members_along() -> None:
    # Of places 0 to 5, 1 went into 0 and 4 into 5 before; now 0 goes into 2, and 5 stays.
    index, keep, anchor, size = tensors([0, 2, 3, 5], [2, 3, 5], [0, 0, 2, 3, 5, 5], [2, 1, 1, 2])
    found, sizes = merged(weights({0: 0.5, 1: 0.5}, {2: 1.0}, {3: 1.0}, present=4), index, keep, anchor, size)
    assert found.tolist() == [2, 2, 2, 3, 5, 5] and sizes.tolist() == [3, 1, 2]


@given(st.lists(st.integers(0, 4), min_size=5, max_size=20))
def test_partitions_keep_every_token_once(groups: list[int]) -> None:
    """Tokens in disjoint groups, each anchored at its first member: sizes add up, anchors are the groups' own."""
    names = list(dict.fromkeys(groups))
    members = [[i for i, group in enumerate(groups) if group == name] for name in names]
    n = len(groups)
    made = weights(*({i: 1 / len(found) for i in found} for found in members), present=n)
    keep = torch.tensor([found[0] for found in members])
    anchor, size = merged(made, torch.arange(n), keep, torch.arange(n), torch.ones(n, dtype=torch.long))
    assert anchor.tolist() == [members[names.index(group)][0] for group in groups]
    assert size.tolist() == [len(found) for found in members] and int(size.sum()) == n


def test_of_equal_weights_the_last_row_counts_however_many_there_are() -> None:
    index, keep = torch.arange(40), torch.arange(20)
    all_alike = torch.ones(20, 40).to_sparse()
    anchors, sizes = merged(all_alike, index, keep, torch.arange(40), torch.ones(40, dtype=torch.long))
    assert anchors.tolist() == [19] * 40 and sizes.tolist() == [40] * 20
