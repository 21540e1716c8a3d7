"""What is recorded of a prompt."""

import torch

from winnow.models.engine.trace import PromptTrace, Recorder
from winnow.reducers.core.layout import Layout

LAYOUT = Layout.of(10, (2, (1, 2, 2)))


def test_a_recorded_prefill() -> None:
    made = Recorder(LAYOUT, start=3)
    everything, left = torch.arange(10), torch.tensor([0, 1, 2, 5, *range(6, 10)])
    made.layer(everything)
    made.layer(everything)
    made.remove(torch.tensor([3, 4]), 2)
    made.layer(left)
    found = made.finish()
    assert (found.tokens_per_layer, found.visual_per_layer, found.start) == ([10, 10, 8], [4, 4, 2], 3)
    assert found.last_layer.tolist() == [2, 1, 1, 2] and found.anchor.tolist() == [0, 1, 2, 3]
    assert found.shares == (1.0, (1 + 1 + 0.5) / 3, 0.5) and found.visual == 4


def test_what_never_entered_has_no_last_layer() -> None:
    made = Recorder(LAYOUT)
    made.remove(torch.tensor([2, 3]), 0)
    made.layer(torch.tensor([0, 1, 4, 5]))
    assert made.finish().last_layer.tolist() == [-1, -1, 0, 0]


def test_merged_tokens_are_followed_and_counted() -> None:
    made = Recorder(LAYOUT)
    assert made.size.tolist() == [1] * 10
    weights = torch.tensor([[0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.5, 0.5]]).to_sparse()
    made.merge(torch.tensor([2, 3, 4, 5]), torch.tensor([2, 4]), weights)
    assert made.anchor.tolist() == [0, 0, 2, 2] and made.size[[2, 4]].tolist() == [2, 2]
    made.merge(torch.tensor([2, 4]), torch.tensor([4]), torch.tensor([[0.5, 0.5]]).to_sparse())
    assert made.anchor.tolist() == [2, 2, 2, 2] and made.size[4] == 4


def test_shares_count_what_the_processor_had_taken_away() -> None:
    def shares(gone: int, *left: int) -> tuple[float, float, float]:
        layout = Layout(10, LAYOUT.spans, gone=gone)
        return PromptTrace(layout, [], [*left], torch.empty(0), torch.empty(0)).shares

    assert shares(4, 4, 2) == (0.5, 0.375, 0.25) and shares(0, 4, 1) == (1.0, 0.625, 0.25)
    assert PromptTrace(Layout(5), [5], [0], torch.empty(0), torch.empty(0)).shares == (1, 1, 1)
