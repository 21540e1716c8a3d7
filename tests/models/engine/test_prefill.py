"""A batch on its way through the layers, without a model: who is present, and what each layer gets."""

from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor

from winnow.models.engine.prefill import Prefill, per_sequence
from winnow.reducers.core.base import Reducer
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.layout import Grid, Layout
from winnow.reducers.core.matching import group_mean
from winnow.reducers.core.reduction import Reduction, View
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import Tower

DEPTH = 4
LONG, SHORT, TEXT = Layout.of(8, (1, (1, 2, 2))), Layout.of(5, (1, (1, 1, 2))), Layout(3)


@dataclass(frozen=True, eq=False)
class Keeps(Reducer):
    """Answers what it is told to, by site and sample; notes what it was shown."""

    adaptive = True

    answers: dict[tuple[Site, str], Reduction] = field(default_factory=dict)
    seen: list[View] = field(default_factory=list)

    def sites(self, depth: int, tower: Tower | None = None) -> tuple[Site, ...]:
        return Site.entrance(depth), Site.layer(2, depth), Site.inside(2, depth)

    def reduce(self, view: View) -> Reduction | None:
        self.seen.append(view)
        return self.answers.get((view.site, view.layout.key))


def keep(*places: int, **how: Any) -> Reduction:
    return Reduction(torch.tensor(places), **how)


def states(batch: int, width: int) -> Tensor:
    """Each token is its row and its column."""
    return torch.stack(
        [torch.arange(batch)[:, None].expand(-1, width), torch.arange(width).expand(batch, -1)], -1
    ).float()


ENTRANCE, MIDDLE, INSIDE = Site.entrance(DEPTH), Site.layer(2, DEPTH), Site.inside(2, DEPTH)


def columns(hidden: Tensor) -> list[list[int]]:
    return hidden[..., 1].int().tolist()


@pytest.mark.parametrize("tail", [0, 2])
def test_prompts_stand_at_the_end_and_shrink_there(tail: int) -> None:
    method = Keeps({(ENTRANCE, "a"): keep(2, 4), (MIDDLE, "b"): keep(1), (MIDDLE, "a"): keep(4)})
    width = 8 + tail
    prefill = Prefill(method, [LONG, SHORT, TEXT], width, DEPTH, keys=["a", "b", "c"], tail=tail)
    behind = list(range(8, 8 + tail))
    hidden = prefill.reduce(ENTRANCE, states(3, width), None)
    assert columns(hidden) == [[0, 2, 4, 5, 6, 7, *behind], [3, 3, 4, 5, 6, 7, *behind], [5, 5, 5, 5, 6, 7, *behind]]
    assert prefill.entry is not None and prefill.entry.valid.int().sum(1).tolist() == [6 + tail, 5 + tail, 3 + tail]
    assert [view.index.tolist() for view in method.seen] == [list(range(8)), list(range(5))]
    assert columns(method.seen[1].hidden[None]) == [[3, 4, 5, 6, 7]]
    assert prefill.stage(0) is None and prefill.entry_width == 6 + tail
    prefill.record()
    hidden = prefill.reduce(MIDDLE, hidden, None)
    assert columns(hidden) == [[0, 4, 5, 6, 7, *behind], [3, 3, 4, 6, 7, *behind], [5, 5, 5, 6, 7, *behind]]
    assert [row.tolist() for row in prefill.index] == [[0, 4, 5, 6, 7], [0, 1, 3, 4], [0, 1, 2]]
    stage = prefill.stage(2)
    assert stage is not None and prefill.stage(1) is None and prefill.stage(3) is stage
    assert stage.columns[0].tolist() == [0, 2, 3, 4, 5, *range(6, 6 + tail)]
    prefill.record()
    assert [recorder.tokens for recorder in prefill.recorders] == [[6, 5], [5, 4], [3, 3]]


def test_a_stage_is_traced_back_to_what_layer_0_saw() -> None:
    method = Keeps({(ENTRANCE, "0"): keep(2, 3, 4), (MIDDLE, "0"): keep(3, 4), (INSIDE, "0"): keep(4)})
    prefill = Prefill(method, [LONG], 8, DEPTH)
    hidden = prefill.reduce(ENTRANCE, states(1, 8), None)
    hidden = prefill.reduce(MIDDLE, hidden, None)
    hidden = prefill.reduce(INSIDE, hidden, None)
    assert columns(hidden) == [[0, 4, 5, 6, 7]]
    found = [prefill.stage(layer) for layer in range(DEPTH)]
    assert [None if one is None else one.columns.tolist() for one in found] == [
        None, None, [[0, 2, 3, 4, 5, 6]], [[0, 3, 4, 5, 6]],
    ]  # fmt: skip
    assert prefill.recorders[0].removed_at.tolist() == [-1, 0, 2, 3, -1, -1, -1, -1]
    assert [str(step.site) for step in prefill.recorders[0].steps] == ["entrance", "layer(2)", "inside(2)"]


def test_nothing_is_asked_where_nothing_is_shown() -> None:
    method = Keeps()
    hidden = states(1, 3)
    assert Prefill(method, [TEXT], 3, DEPTH).reduce(ENTRANCE, hidden, None) is hidden and method.seen == []
    pictured = Prefill(method, [LONG], 8, DEPTH)
    whole = states(1, 8)
    assert pictured.reduce(ENTRANCE, whole, None) is whole and len(method.seen) == 1
    assert pictured.reduce(Site.layer(1, DEPTH), whole, None) is whole and len(method.seen) == 1
    assert pictured.entry is None and pictured.stages == [] and pictured.entry_width == 8


def test_keeping_all_is_no_reduction() -> None:
    method = Keeps({(ENTRANCE, "0"): keep(1, 2, 3, 4)})
    prefill, hidden = Prefill(method, [LONG], 8, DEPTH), states(1, 8)
    assert prefill.reduce(ENTRANCE, hidden, None) is hidden and prefill.recorders[0].steps == []


def test_a_method_that_left_nothing_is_asked_inside_and_not_at_the_entrance() -> None:
    """What it knows of the text may count; at the entrance there is nothing to choose."""
    method = Keeps({(ENTRANCE, "0"): Reduction(torch.tensor([], dtype=torch.long))})
    prefill = Prefill(method, [LONG], 8, DEPTH)
    hidden = prefill.reduce(ENTRANCE, states(1, 8), None)
    assert columns(hidden) == [[0, 5, 6, 7]]
    prefill.reduce(MIDDLE, hidden, None)
    assert [str(view.site) for view in method.seen] == ["entrance", "layer(2)"]


def test_sequences_of_a_prompt_share_the_first_ones_answer() -> None:
    method = Keeps({(ENTRANCE, "a"): keep(1), (ENTRANCE, "b"): keep(2)})
    prefill = Prefill(method, [LONG, LONG, SHORT, SHORT], 8, DEPTH, keys=["a", "b"], copies=2)
    assert [layout.key for layout in prefill.layouts] == ["a", "a", "b", "b"]
    assert columns(prefill.reduce(ENTRANCE, states(4, 8), None)) == [
        [0, 1, 5, 6, 7], [0, 1, 5, 6, 7], [3, 3, 5, 6, 7], [3, 3, 5, 6, 7],
    ]  # fmt: skip
    assert len(method.seen) == 2


@pytest.mark.parametrize(("first", "second", "asked"), [("a", "a", 1), ("a", "b", 2), ("b", "a", 2)])
def test_what_was_said_of_a_prompt_is_said_again_of_the_same_sample_alone(first: str, second: str, asked: int) -> None:
    method = Keeps()
    prefills = [Prefill(method, [LONG], 8, DEPTH, keys=[key]) for key in (first, second)]
    prefills[1].notes = prefills[0].notes
    for prefill in prefills:
        prefill.reduce(ENTRANCE, states(1, 8), None)
    assert len(method.seen) == asked


def test_text_may_be_dropped_and_what_is_added_later_too() -> None:
    method = Keeps({(MIDDLE, "0"): keep(2, drop_text=torch.tensor([5, 6]))})
    prefill = Prefill(method, [LONG], 8, DEPTH)
    prefill.features = [10 * states(1, 8)]
    assert columns(prefill.reduce(MIDDLE, states(1, 8), None)) == [[0, 2, 7]]
    assert columns(prefill.features[0]) == [[0, 20, 70]]
    assert prefill.recorders[0].removed_at.tolist() == [-1, 2, -1, 2, 2, 2, 2, -1]


@pytest.mark.parametrize("tail", [0, 1])
def test_merged_tokens_are_means_at_their_anchors(tail: int) -> None:
    first, second = (group_mean(torch.tensor(group), max(group) + 1) for group in ([0, 1, 1, 1], [0, 0]))
    method = Keeps({(ENTRANCE, "1"): keep(1, 3, weights=first), (MIDDLE, "1"): keep(3, weights=second)})
    prefill = Prefill(method, [SHORT, LONG], 9 + tail, DEPTH, tail=tail)
    prefill.features = [10 * states(2, 9 + tail)]
    whole = states(2, 9 + tail)
    hidden = prefill.reduce(ENTRANCE, whole, None)
    assert columns(hidden)[1] == [1, 2, 4, 6, 7, 8, *range(9, 9 + tail)] and columns(whole)[1] == list(range(9 + tail))
    assert columns(prefill.features[0])[1][:4] == [10, 20, 40, 60]
    hidden = prefill.reduce(MIDDLE, hidden, None)
    assert columns(hidden)[1][:3] == [1, 3, 6] and columns(hidden)[0][-5 - tail :] == [
        4,
        5,
        6,
        7,
        8,
        *range(9, 9 + tail),
    ]
    assert prefill.recorders[1].anchor.tolist() == [2, 2, 2, 2] and int(prefill.recorders[1].size[3]) == 4


def positions(prefill: Prefill, layer: int) -> Any:
    stage = prefill.entry if layer == 0 else prefill.stage(layer)
    assert stage is not None
    return (
        None if stage.positions is None else stage.positions.tolist(),
        None if stage.shift is None else stage.shift.tolist(),
    )


@pytest.mark.parametrize(
    ("policy", "numbers", "shift"),
    [
        ("keep", None, None),
        ("compact", [[0, 1, 2, 3, 4, 5], [0, 0, 1, 2, 3, 4]], [2, 0]),
        ("restart", [[0, 2, 4, 5, 6, 7], [0, 0, 1, 2, 3, 4]], [0, 0]),
    ],
)
def test_survivors_are_numbered_as_the_method_says(policy: Any, numbers: Any, shift: Any) -> None:
    method = Keeps({(ENTRANCE, "0"): keep(2, 4, positions=policy), (ENTRANCE, "1"): keep(1, 2, positions=policy)})
    prefill = Prefill(method, [LONG, SHORT], 8, DEPTH)
    given = torch.tensor([[0, 1, 2, 3, 4, 5, 6, 7], [0, 0, 0, 0, 1, 2, 3, 4]])
    prefill.reduce(ENTRANCE, states(2, 8), given)
    assert positions(prefill, 0) == (numbers, shift)


def test_text_restarts_behind_what_is_left() -> None:
    method = Keeps({(ENTRANCE, "0"): keep(1, positions="restart")})
    prefill = Prefill(method, [LONG], 8, DEPTH)
    prefill.reduce(ENTRANCE, states(1, 8), None)
    assert positions(prefill, 0) == ([[0, 1, 2, 3, 4]], [3])


def test_who_renumbered_once_goes_on_from_there() -> None:
    """At the entrance 0, 2, 4, 5, 6, 7 became 0..5; then the token at 2 goes, and gaps stay."""
    method = Keeps({(ENTRANCE, "0"): keep(2, 4, positions="compact"), (MIDDLE, "0"): keep(4)})
    prefill = Prefill(method, [LONG], 8, DEPTH)
    hidden = prefill.reduce(ENTRANCE, states(1, 8), None)
    prefill.reduce(MIDDLE, hidden, torch.arange(6)[None])
    assert positions(prefill, 0) == ([[0, 1, 2, 3, 4, 5]], [2])
    assert positions(prefill, 2) == (None, None)
    again = Keeps({(MIDDLE, "0"): keep(2, 4, positions="compact"), (INSIDE, "0"): keep(4)})
    later = Prefill(again, [LONG], 8, DEPTH)
    hidden = later.reduce(MIDDLE, states(1, 8), torch.arange(8)[None])
    later.reduce(INSIDE, hidden, torch.arange(8)[None])
    assert positions(later, 2) == ([[0, 1, 2, 3, 4, 5]], [2]) and positions(later, 3) == ([[0, 2, 3, 4, 5]], [2])


def test_padding_within_prompts_moves_to_the_left() -> None:
    """The answer's last token stands in front of the padding of a later turn."""
    prefill = Prefill(Keeps(), [Layout(3), Layout(5)], 6, DEPTH, tail=1)
    prefill.features = [10 * states(2, 6)]
    moved = prefill.settle(states(2, 6), [torch.tensor([0, 3, 4]), torch.arange(5)])
    assert columns(moved) == [[0, 0, 0, 3, 4, 5], [0, 1, 2, 3, 4, 5]] and columns(prefill.features[0])[0][3] == 30
    assert prefill.entry is not None and prefill.entry.valid.int().tolist() == [[0, 0, 1, 1, 1, 1], [1] * 6]


def test_what_attention_adds_is_the_logarithm_of_sizes_once_somebody_asks() -> None:
    weights = group_mean(torch.tensor([0, 1, 1, 1]), 2)
    answers = {(ENTRANCE, "0"): keep(1, 3, weights=weights), (MIDDLE, "0"): keep(3, weighed=True)}
    prefill = Prefill(Keeps(answers), [LONG, TEXT], 9, DEPTH, tail=1)
    hidden = prefill.reduce(ENTRANCE, states(2, 9), None)
    assert prefill.entry is not None and prefill.entry.added is None
    prefill.reduce(MIDDLE, hidden, None)
    stage = prefill.stage(2)
    assert stage is not None and stage.added is not None
    assert stage.added.exp().round().int().tolist() == [[1, 3, 1, 1, 1, 1], [1] * 6]


def test_there_is_one_value_for_each_prompt() -> None:
    assert per_sequence(["a", "b"], 4, 2, "keys") == ["a", "a", "b", "b"]
    with pytest.raises(WinnowError, match="3 keys were given for a batch of 2 prompts: give one per prompt"):
        per_sequence(["a", "b", "c"], 4, 2, "keys")
    with pytest.raises(WinnowError, match="1 relevance were given for a batch of 2 prompts"):
        Prefill(Keeps(), [LONG, SHORT], 8, DEPTH, relevance=[None])
    told = Prefill(Keeps(), [LONG, SHORT], 8, DEPTH, relevance=[torch.ones(4), None], starts=[3, 0])
    assert told.layouts[0].relevance is not None and told.layouts[1].relevance is None
    assert [layout.key for layout in told.layouts] == ["0", "1"] and [one.start for one in told.recorders] == [3, 0]


@dataclass(frozen=True)
class Promises(Reducer):
    """Plans to keep half at layer 2."""

    def sites(self, depth: int, tower: Tower | None = None) -> tuple[Site, ...]:
        return (Site.layer(2, depth),)

    def count(self, site: Site, grid: Grid, present: int) -> int:
        return present // 2

    def reduce(self, view: View) -> Reduction:
        return Reduction(view.visual[:1])


def test_a_plan_is_a_promise() -> None:
    for layout, kept in ((LONG, "planned [4, 4, 2, 2] visual tokens but kept [4, 4, 1, 1]"), (SHORT, None)):
        prefill, hidden = Prefill(Promises(), [layout], layout.length, DEPTH), states(1, layout.length)
        for layer in range(DEPTH):
            hidden = prefill.reduce(Site.layer(layer, DEPTH), hidden, None)
            prefill.record()
        if kept is None:
            (trace,) = prefill.finish(None)
            assert trace.visual_per_layer == [2, 2, 1, 1] and trace.last_layer.tolist() == [3, 1]
            continue
        with pytest.raises(WinnowError) as error:
            prefill.finish(None)
        assert kept in str(error.value)
