"""A method's choice among stored keys at one step of decoding, by hand: what it is shown, and what is hidden."""

from dataclasses import dataclass, field
from typing import Any

import pytest
import torch

from winnow.models.engine.choosing import Choosing
from winnow.models.engine.forward import Forward
from winnow.models.engine.ledger import Held, Ledger
from winnow.models.engine.trace import Recorder, Step
from winnow.reducers.core.base import Reducer
from winnow.reducers.core.errors import UnsupportedError
from winnow.reducers.core.layout import Layout
from winnow.reducers.core.reduction import Reduction
from winnow.reducers.core.site import Site

SITE = Site.decode(2, 4)
PICTURED, TEXT = Layout.of(6, (1, (1, 1, 3))), Layout(6)


@dataclass(frozen=True, eq=False)
class First(Reducer):
    """Reads the first visual token that is held; notes what it was shown."""

    seen: list[Any] = field(default_factory=list)

    def reduce(self, view: Any) -> Reduction:
        self.seen.append(view)
        return Reduction(view.visual[:1], told=len(self.seen))


def step(steps: int = 0, held: Held | None = None, padding: int = 0) -> Forward:
    """Behind prompts of six tokens, the second all text, of which some steps were decoded."""
    traces = [Recorder(layout).finish() for layout in (PICTURED, TEXT)]
    for trace in traces:
        trace.decoded.extend([None] * steps)
    books = Ledger("me", 4, width=6 + padding + steps, batch=2, held=[None, held, held, held], turns=[traces])
    books.places = [torch.arange(padding, 6 + padding)] * 2
    books.told = [None, None]
    mask = torch.ones(2, 7 + padding + steps, dtype=torch.long)
    mask[:, :padding] = 0
    return Forward(books, 1, mask, False)


def observed(own: Choosing, made: Forward, keys: int) -> torch.Tensor:
    """What the new token pays to each key, by two heads on one head of keys."""
    query, key = torch.ones(2, 2, 1, 1), torch.arange(float(keys)).expand(2, 1, -1)[..., None]
    query[:, 1] = -1
    own.observe(made, query, key, 0.5)
    rise = torch.arange(float(keys)) * 0.5
    return (rise.softmax(0) + (-rise).softmax(0)) / 2


def test_it_is_shown_what_the_token_pays_to_visual_tokens_and_hides_the_rest() -> None:
    method, made = First(), step()
    own = Choosing(method, SITE)
    paid = observed(own, made, 7)
    own.choose(made)
    (view,) = method.seen
    assert view.visual.tolist() == [1, 2, 3] and torch.allclose(view.attention, paid[1:4]) and view.told is None
    hidden = made.seen(2)[1].valid.int().tolist()
    assert hidden == [[1, 1, 0, 0, 1, 1, 1], [1] * 7] and made.seen(1)[1].valid.all()
    first, second = made.ledger.turns[-1]
    assert isinstance(first.decoded[0], Step) and second.decoded == [None] and made.ledger.told == [1, None]
    own.observe(made, torch.ones(2, 2, 1, 1), torch.zeros(2, 1, 7, 1), 0.5)
    own.choose(made)
    assert method.seen[1].told == 1


def test_what_a_layer_no_longer_holds_is_not_chosen_from() -> None:
    """The first row's layer holds tokens 0, 2, 3 and 5 behind two columns of padding."""
    columns = torch.tensor([[0, 1, 2, 4, 5, 7], [0, 1, 2, 4, 5, 7]])
    method = First()
    own, made = Choosing(method, SITE), step(held=Held(columns, torch.ones(2, 6, dtype=torch.bool)), padding=2)
    query, key = torch.ones(2, 1, 1, 1), torch.arange(7.0).expand(2, 1, -1)[..., None]
    own.observe(made, query, key, 0.5)
    own.choose(made)
    (view,) = method.seen
    shares = (torch.arange(2.0, 7) * 0.5).softmax(0)  # padding is paid nothing
    assert view.visual.tolist() == [2, 3] and torch.allclose(view.attention, shares[1:3])
    assert made.seen(2)[1].valid[0].int().tolist() == [0, 0, 1, 1, 0, 1, 1]


@pytest.mark.parametrize(
    ("steps", "width", "turn", "fits"),
    [(0, 6, False, True), (2, 8, False, True), (2, 7, False, False), (1, 8, False, False), (0, 6, True, False)],
)
def test_a_step_is_the_one_that_follows(steps: int, width: int, turn: bool, fits: bool) -> None:
    made, own = step(steps), Choosing(First(), SITE)
    made.start = width
    if fits:
        own.check_step(made, turn)
        return
    with pytest.raises(UnsupportedError, match="chooses among the keys of one prompt, one token at a time"):
        own.check_step(made, turn)


def test_several_tokens_are_no_step_and_a_first_prompt_is_none() -> None:
    own, many = Choosing(First(), SITE), step()
    many.new = 2
    with pytest.raises(UnsupportedError, match="one token at a time"):
        own.check_step(many, False)
    own.check_step(Forward(Ledger("me", 4, batch=2), 6, None, False), True)
    assert own.before == 1
