"""Choosing, at each step of decoding, which of a prompt's stored keys some layers read."""

from __future__ import annotations

import torch
from torch import Tensor

from winnow.models.engine.calls import Rule, check_call, configured
from winnow.models.engine.checks import check_kept
from winnow.models.engine.fetched import onto
from winnow.models.engine.forward import Forward
from winnow.models.engine.trace import Step
from winnow.reducers.core.base import Reducer
from winnow.reducers.core.decoding import StepView
from winnow.reducers.core.errors import UnsupportedError
from winnow.reducers.core.reduction import Reduction
from winnow.reducers.core.site import Site

STEPS = "chooses among stored keys step by step, for one sequence of each prompt: leave it out"
REFUSED = {
    "num_beams": Rule("refused", STEPS, (None, 1)),
    "use_cache": Rule("refused", STEPS, (None, True)),
    **dict.fromkeys(("assistant_model", "prompt_lookup_num_tokens"), Rule("refused", STEPS, (None,))),
}
"""Arguments of `generate` that such a method cannot follow."""


class Choosing:
    """A method's choices while it decodes.

    Parameters
    ----------
    reducer : Reducer
        The method.
    site : Site
        In front of which layer it chooses.
    """

    def __init__(self, reducer: Reducer, site: Site) -> None:
        self.reducer, self.site = reducer, site
        self._attention: Tensor | None = None

    @property
    def before(self) -> int:
        """The layer whose attention it is shown; -1: none is."""
        return self.site.number - 1

    def check(self, model: object, bound: dict[str, object]) -> None:
        """Refuse calls of `generate` in which a step is not one token of one sequence."""
        check_call(REFUSED, {name: bound.get(name, configured(model, bound, name)) for name in REFUSED})

    def check_step(self, forward: Forward, turn: bool) -> None:
        """Refuse steps of several tokens, later turns, and steps that were taken back."""
        ledger = forward.ledger
        known = int(ledger.places[0][-1]) + 1 + len(ledger.turns[-1][0].decoded) if ledger.places else 0
        if forward.start and (turn or forward.new > 1 or known != forward.start):
            raise UnsupportedError(
                f"reducer={self.reducer.name} chooses among the keys of one prompt, one token at a time: pass the "
                "whole conversation as one prompt"
            )

    def observe(self, forward: Forward, query: Tensor, key: Tensor, scaling: float) -> None:
        """Keep what each row's new token pays to the keys; queries ``(batch, heads, 1, d)``, keys with all held."""
        valid = onto(forward.seen(self.before)[1].last(key.shape[2]).valid, key.device)
        asking = query[:, :, -1].unflatten(1, (key.shape[1], -1)).float() * scaling
        logits = (asking @ key.float().mT).masked_fill(~valid[:, None, None], float("-inf"))
        self._attention = logits.softmax(-1).mean((1, 2)).cpu()

    def choose(self, forward: Forward) -> None:
        """Ask the method for each row, and hide from this step's later layers what it does not name."""
        ledger, hidden = forward.ledger, torch.zeros(forward.ledger.batch, forward.start + 1, dtype=torch.bool)
        keys = forward.seen(max(0, self.before))[1]
        attention = torch.zeros(keys.columns.shape) if self.before < 0 else self._attention
        assert attention is not None
        keys = keys.last(attention.shape[1])
        for row, trace in enumerate(ledger.turns[-1]):
            paid, held = torch.zeros(hidden.shape[1]), torch.zeros(hidden.shape[1], dtype=torch.bool)
            columns = keys.columns[row][keys.valid[row]]
            paid[columns], held[columns] = attention[row][keys.valid[row]], True
            places, visual = ledger.places[row], trace.layout.visual
            visual = visual[held[places[visual]]]
            view = StepView(self.site, trace.layout, visual, paid[places[visual]], ledger.told[row])
            answer: Reduction | None = self.reducer.reduce(view) if len(visual) else None
            trace.decoded.append(None if answer is None else Step(self.site, answer))
            if answer is not None:
                check_kept(answer.keep, visual, self.reducer)
                ledger.told[row] = view.told if answer.told is None else answer.told
                hidden[row, places[visual[~torch.isin(visual, answer.keep)]]] = True
        self._attention = None
        forward.hide(hidden, self.site.number)
