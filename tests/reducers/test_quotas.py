"""Whose quota a ranking method keeps: that of each span, or that of the prompt."""

from dataclasses import replace

import pytest
import torch
from views import Noise, layout, view, walk

from winnow.reducers.aim import AIM
from winnow.reducers.aim_prune import AIMPrune
from winnow.reducers.compose import Compose
from winnow.reducers.core.base import Reducer
from winnow.reducers.core.layout import Grid, pools
from winnow.reducers.core.schedule import Cuts, First, K, Window
from winnow.reducers.dart import DART
from winnow.reducers.divprune import DivPrune
from winnow.reducers.fastv import FastV
from winnow.reducers.pdrop import PDrop
from winnow.reducers.random import RandomDrop
from winnow.reducers.sequential import Sequential
from winnow.reducers.tome import ToMe
from winnow.reducers.uniform import Uniform

DEPTH = 6
RANKING: dict[str, Reducer] = {
    "fastv": FastV(ratio=0.3),
    "pdrop": PDrop(schedule=Cuts((1, 3, 5))),
    "aim-prune": AIMPrune(schedule=Window(1, 4)),
    "aim": AIM(schedule=Window(2, 5)),
    "random": RandomDrop(ratio=0.3),
    "uniform": Uniform(ratio=0.3),
    "sequential": Sequential(ratio=0.3, schedule=K(2)),
    "divprune": DivPrune(ratio=0.3),
    "dart": DART(ratio=0.3),
}
PROMPTS = {
    "alike": layout((1, 3, 5), (1, 3, 5), (1, 3, 5)),
    "tiles": layout((1, 4, 4), (1, 3, 7)),
    "mixed": layout((3, 2, 4), (1, 1, 1), (2, 3, 3)),
}


def kept(method: Reducer, prompt) -> list[list[int]]:  # noqa: ANN001
    """Tokens that each span has in each layer."""
    return [[int(torch.isin(span.positions, seen).sum()) for span in prompt.spans] for seen in walk(method, prompt, 6)]


@pytest.mark.parametrize("name", RANKING)
@pytest.mark.parametrize("prompt", PROMPTS.values(), ids=PROMPTS)
def test_each_span_keeps_what_it_would_keep_alone(name: str, prompt) -> None:  # noqa: ANN001
    method = replace(RANKING[name], scope="span")
    alone = [method.plan([span.grid], DEPTH) for span in prompt.spans]
    assert kept(method, prompt) == [list(counts) for counts in zip(*alone, strict=True)]


@pytest.mark.parametrize("name", RANKING)
@pytest.mark.parametrize("prompt", PROMPTS.values(), ids=PROMPTS)
def test_the_prompt_keeps_what_one_span_of_its_tokens_would(name: str, prompt) -> None:  # noqa: ANN001
    method = replace(RANKING[name], scope="prompt")
    whole = [span.grid for span in prompt.spans] if name == "aim" else [Grid(1, len(prompt.visual))]
    planned = method.plan(whole, DEPTH)
    assert [sum(counts) for counts in kept(method, prompt)] == planned
    assert method.plan([span.grid for span in prompt.spans], DEPTH) == planned


@pytest.mark.parametrize("name", RANKING)
def test_one_span_is_the_prompt(name: str) -> None:
    prompt = layout((3, 4, 5))
    pair = [walk(replace(RANKING[name], scope=scope), prompt, DEPTH) for scope in ("span", "prompt")]
    assert all(torch.equal(a, b) for a, b in zip(*pair, strict=True))


def test_the_best_of_the_prompt_stay_wherever_they_are() -> None:
    prompt = PROMPTS["tiles"]
    signals = Noise(prompt)
    method = FastV(ratio=0.25)
    (probe,) = method.probes(DEPTH)
    signals[probe] = torch.arange(prompt.length).float()
    assert torch.equal(method.reduce(view(prompt, 2, signals, depth=DEPTH)).keep, prompt.visual[-9:])


def test_an_even_sample_of_the_prompt_is_even_over_its_spans() -> None:
    prompt = layout((2, 6, 6), (1, 3, 4))
    assert kept(Uniform(ratio=0.25, scope="prompt"), prompt)[0] == [18, 3]


def test_what_a_method_of_each_kind_does_unless_told() -> None:
    """As their codes do: those of pruning know one block of visual tokens, DART's engine each picture's own.

    Controls of sampling have no code.
    """
    assert {name for name, method in RANKING.items() if method.scope == "span"} == {"uniform", "sequential", "dart"}
    assert ToMe().scope == "span"


def test_frames_of_one_size_stay_frames() -> None:
    assert pools([Grid(2, 6, 3), Grid(1, 6, 3)], "prompt") == [Grid(3, 6, 3)]
    assert pools([Grid(2, 6, 3), Grid(1, 6, 2)], "prompt") == [Grid(1, 18, 18)]
    assert pools([Grid(2, 6, 3), Grid(1, 6, 2)], "span") == [Grid(2, 6, 3), Grid(1, 6, 2)]
    assert pools([], "prompt") == []


@pytest.mark.parametrize("prompt", PROMPTS.values(), ids=PROMPTS)
def test_two_methods_whose_quotas_are_the_prompts(prompt) -> None:  # noqa: ANN001
    pair = Compose(RandomDrop(ratio=0.1), FastV(ratio=0.4, schedule=K(3)))
    assert not pair.adaptive
    planned = pair.plan([span.grid for span in prompt.spans], DEPTH)
    assert [sum(counts) for counts in kept(pair, prompt)] == planned


def test_contents_decide_what_each_span_has_left() -> None:
    """A method that counts by span behind one that ranks over the prompt: the plan is an estimate."""
    pair = Compose(RandomDrop(ratio=0.1), ToMe(r=1, schedule=First(3)))
    assert pair.adaptive and not Compose(RandomDrop(scope="span"), ToMe()).adaptive
    assert kept(pair, layout((1, 4, 5), (1, 1, 1)))[0][1] in (0, 1)
