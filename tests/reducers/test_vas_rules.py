"""VAS' rules by hand: the trigger that defaults to r, what is normalised, and which axis goes."""

import pytest
import torch
from torch import Tensor
from views import layout, view

from winnow.reducers.core.layout import Grid, Layout
from winnow.reducers.core.probes import Rows
from winnow.reducers.core.schedule import Rounds
from winnow.reducers.vas import VAS

NOW = Rounds(start=6, end=20, interval=3)
FRAMES, CELLS = 10, 4


def signals(prompt: Layout, values: Tensor, layer: int) -> dict:  # type: ignore[type-arg]
    made = {}
    for back, grid in enumerate(values):
        row = torch.zeros(prompt.length)
        row[prompt.visual] = grid.flatten()
        made[Rows("text"), layer - 3 + back] = row
    return made


def falling(frames: int) -> Tensor:
    """Attention of which the first some frames fall twice, the others and every position rise."""
    values = torch.ones(3, FRAMES, CELLS)
    values[:, :frames] = torch.tensor([3.0, 2, 1])[:, None, None]
    values[:, frames:] = torch.tensor([1.0, 5, 50])[:, None, None]
    return values


def acted(method: VAS, values: Tensor, layer: int = 7) -> bool:
    """Whether a round happens at a layer where none is due: one happened at layer 6."""
    prompt = layout((FRAMES + 1, 1, CELLS))
    gone = torch.full((prompt.length,), -1)
    gone[prompt.visual[-CELLS:]] = 6
    padded = torch.cat([values, torch.zeros(3, 1, CELLS)], 1)
    return method.reduce(view(prompt, layer, signals(prompt, padded, layer), gone)) is not None


@pytest.mark.parametrize(
    ("r", "trigger", "bound"), [(None, None, 3), (0.5, None, 5), (0.2, None, 2), (0.2, 0.6, 6), (None, 0.4, 4)]
)
def test_a_round_comes_early_where_more_than_the_trigger_falls(
    r: float | None, trigger: float | None, bound: int
) -> None:
    """The trigger is r where nothing else is said, and 0.3 without r."""
    method = VAS(r=r, trigger=trigger, schedule=NOW)
    assert [acted(method, falling(frames)) for frames in (bound, bound + 1)] == [False, True]
    assert method.knobs(28)["trigger"] == pytest.approx(bound / 10)


def test_normalising_divides_each_layer_by_its_own_sum() -> None:
    """Every layer has half of the attention of the one before: all falls, or, as shares of each layer, nothing does."""
    shares = torch.rand(FRAMES, CELLS, generator=torch.Generator().manual_seed(0)) + 0.1
    values = torch.stack([4 * shares, 2 * shares, shares])
    assert acted(VAS(schedule=NOW), values) and not acted(VAS(normalise=True, schedule=NOW), values)
    # Shares that fall while the sums rise: frame 0 has 4/13, 3/22 and 2/41 of each layer's attention.
    rising = torch.ones(3, FRAMES, CELLS) * torch.tensor([1.0, 2, 4])[:, None, None]
    rising[:, :4] = torch.tensor([4.0, 4, 4])[:, None, None]
    assert not acted(VAS(schedule=NOW), rising) and acted(VAS(normalise=True, schedule=NOW), rising)


def test_normalised_attention_of_a_layer_adds_up_to_one() -> None:
    prompt = layout((3, 2, 2))
    values = (
        torch.rand(3, 3, 4, generator=torch.Generator().manual_seed(1)) * torch.tensor([1.0, 10, 100])[:, None, None]
    )
    state = view(prompt, 6, signals(prompt, values, 6))
    found = VAS(normalise=True, schedule=NOW)._attention(prompt.spans[0], state)
    assert found.sum((1, 2)).tolist() == pytest.approx([1, 1, 1])
    assert torch.allclose(found, values / values.sum((1, 2), keepdim=True))


@pytest.mark.parametrize(
    ("temporal", "spatial", "due", "axis"),
    [
        (0.5, 0.4, False, "temporal"), (0.4, 0.5, False, "spatial"), (0.5, 0.5, False, "temporal"),
        (0.5, 0.1, False, "temporal"), (0.1, 0.5, False, "spatial"), (0.3, 0.3, False, None),
        (0.1, 0.2, True, "spatial"), (0.2, 0.2, True, "temporal"), (-1.0, 0.0, True, "spatial"),
    ],
)  # fmt: skip
def test_the_axis_that_falls_more_goes_and_time_wins_ties(
    temporal: float, spatial: float, due: bool, axis: str | None
) -> None:
    assert VAS(schedule=NOW)._axis(temporal, spatial, due) == axis


def test_options_name_the_axis_where_both_fall_and_where_a_round_is_forced() -> None:
    method = VAS(both="spatial", forced="temporal", schedule=NOW)
    assert method._axis(0.9, 0.4, False) == "spatial" and method._axis(0.9, 0.1, False) == "temporal"
    assert method._axis(0.1, 0.2, True) == "temporal" and method._axis(0.1, 0.2, False) is None


@pytest.mark.parametrize(
    ("method", "drop"),
    [
        (VAS(r=0.4, ratio=0.1), 0.4),
        (VAS(), 0.3),
        (VAS(ratio=0.25, schedule=Rounds(13, 17, 4)), 0.5),
        (VAS(ratio=0.125, schedule=Rounds(13, 21, 4)), 0.5),
    ],
)
def test_a_round_drops_r_or_what_leaves_the_ratio_behind_the_forced_rounds(method: VAS, drop: float) -> None:
    assert method.drop(28) == pytest.approx(drop) and method.knobs(28)["r"] == pytest.approx(drop)


def test_one_token_stays_at_least() -> None:
    method = VAS(r=0.9, schedule=Rounds(start=3, end=6, interval=1))
    (*_, last) = method.sites(8)
    assert method.count(last, Grid(1, 9, 3), 9) == 1
    assert method.count(last, Grid(1, 9, 3), 0) == 0
