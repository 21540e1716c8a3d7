import pytest
import torch

from winnow.reducers.core.matching import largest


@pytest.mark.parametrize("seed", range(60))
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
