"""What holds for all methods that act in the LLM: exact plans, settings that keep everything, and compositions."""

import pytest
import torch
from views import Noise, layout, view, walk

from winnow.reducers.aim import AIM
from winnow.reducers.aim_merge import AIMMerge
from winnow.reducers.aim_prune import AIMPrune
from winnow.reducers.aim_temporal import AIMTemporal
from winnow.reducers.average import Average
from winnow.reducers.blind import Blind
from winnow.reducers.cdpruner import CDPruner
from winnow.reducers.compose import Compose
from winnow.reducers.core.base import Reducer
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.schedule import Cuts, First, K, Rounds, Window
from winnow.reducers.dart import DART
from winnow.reducers.divprune import DivPrune
from winnow.reducers.dycoke import DyCoke
from winnow.reducers.evs import EVS
from winnow.reducers.fastv import FastV
from winnow.reducers.fitprune import FitPrune
from winnow.reducers.frame_pairs import FramePairs
from winnow.reducers.grid import GridSample
from winnow.reducers.mmtok import MMTok
from winnow.reducers.pdrop import PDrop
from winnow.reducers.random import RandomDrop
from winnow.reducers.sequential import Sequential
from winnow.reducers.sparsevlm import SparseVLM
from winnow.reducers.tome import ToMe
from winnow.reducers.uniform import Uniform
from winnow.reducers.v2drop import V2Drop
from winnow.reducers.vas import VAS
from winnow.reducers.vcast import VCast
from winnow.reducers.vcc import VCC
from winnow.reducers.vidcom2 import VidCom2
from winnow.reducers.vtw import VTW

DEPTH = 6
TWICE = Cuts((2, 4))
METHODS: dict[str, Reducer] = {
    "aim": AIM(ratio=0.3, schedule=Window(2, 5)),
    "aim-same": AIM(counts="paper", order="official", apply="same", images=False, schedule=Window(3, 7)),
    "aim-merge": AIMMerge(ratio=0.2, positions="mean"),
    "aim-temporal": AIMTemporal(ratio=0.25),
    "aim-temporal-aligned": AIMTemporal(aligned=True, positions="keep"),
    "aim-prune": AIMPrune(select="lowest", schedule=Window(1, 4)),
    "aim-prune-slope": AIMPrune(slope=0.07, schedule=Window(1, 4)),
    "vtw": VTW(schedule=K(3)),
    "vtw-ratio": VTW(ratio=0.3, positions="compact"),
    "pdrop": PDrop(schedule=Cuts((1, 3, 5))),
    "pdrop-ratios": PDrop(ratios=(0.9, 0.05), select="lowest", positions="keep", schedule=TWICE),
    "vcc": VCC(),
    "vcc-drop": VCC(stride=3, remainder="drop", positions="keep"),
    "vcc-2d": VCC(stride=4, mode="2d", schedule=None),
    "tome": ToMe(ratio=0.4, schedule=First(4)),
    "tome-r": ToMe(r=5, rope=True, schedule=First(6)),
    "sequential": Sequential(ratio=0.3),
    "grid": GridSample(ratio=0.3, schedule=K(2)),
    "frame-pairs": FramePairs(schedule=K(2)),
    "uniform": Uniform(ratio=0.2, schedule=TWICE),
    "average": Average(ratio=0.125, schedule=TWICE),
    "average-temporal": Average(axis="temporal", schedule=K(1)),
    "divprune": DivPrune(),
    "divprune-official": DivPrune(ratio=0.9, variant="official", positions="keep"),
    "evs": EVS(q=0.6),
    "vidcom2": VidCom2(q=0.8),
    "dycoke": DyCoke(),
    "dycoke-official": DyCoke(k=0.8, variant="official"),
    "cdpruner": CDPruner(ratio=0.3),
    "cdpruner-span": CDPruner(ratio=0.1, split=False, parts="span"),
    "dart": DART(R=0.778),
    "sparsevlm": SparseVLM(ratio=0.5, schedule=Cuts((1, 3, 5))),
    "sparsevlm-plus": SparseVLM(version="+", scope="span", schedule=Cuts((1, 3, 5))),
    "dart-layer": DART(R=0.5, at="layer", schedule=K(3)),
    "mmtok": MMTok(),
    "vcast": VCast(ratio=0.3),
    "v2drop": V2Drop(schedule=Cuts((1, 3, 5))),
    "v2drop-keep": V2Drop(keep=(0.25, 0.0), scope="span", schedule=TWICE),
    "v2drop-ratio": V2Drop(ratio=0.2, select="lowest", schedule=TWICE),
    "fitprune": FitPrune(ratio=0.25),
    "fitprune-span": FitPrune(ratio=0.05, scope="span", positions="compact"),
    "random-twice": RandomDrop(ratio=0.2, schedule=TWICE),
    "compose": Compose(AIMMerge(), FastV(ratio=0.4, schedule=K(3))),
    "compose-scores": Compose(RandomDrop(ratio=0.6, scope="span"), VCC(stride=3, schedule=K(2))),
    "compose-tome": Compose(GridSample(a=2, b=2), ToMe(ratio=0.3, schedule=First(3))),
    "compose-average": Compose(Average(), Average(axis="temporal", schedule=TWICE)),
    "compose-pdrop": Compose(Uniform(ratio=0.5), PDrop(schedule=TWICE)),
    "compose-dart": Compose(DART(ratio=0.5), FastV(ratio=0.4, schedule=K(3))),
    "compose-blind": Compose(Blind(), VTW(schedule=K(2))),
}
PROMPTS = {
    "video": layout((4, 5, 5)),
    "image": layout((1, 4, 7)),
    "several": layout((3, 2, 4), (1, 1, 1), (2, 3, 3)),
    "text": layout(),
}


@pytest.mark.parametrize("prompt", PROMPTS.values(), ids=PROMPTS)
@pytest.mark.parametrize("name", METHODS)
def test_the_plan_is_what_happens(name: str, prompt) -> None:  # noqa: ANN001
    method = METHODS[name]
    if not prompt.spans:
        assert method.plan([], DEPTH) == [0] * DEPTH
        return
    seen = walk(method, prompt, DEPTH)
    executed = [int(prompt.is_visual[index].sum()) for index in seen]
    assert method.plan([span.grid for span in prompt.spans], DEPTH) == executed
    text = ~prompt.is_visual
    assert all(int(text[index].sum()) == int(text.sum()) for index in seen)


@pytest.mark.parametrize("name", METHODS)
def test_settings_that_keep_everything(name: str) -> None:
    method = METHODS[name].keep_all()
    if name in ("compose-blind", "frame-pairs"):
        assert method is None
        return
    prompt = PROMPTS["several"]
    signals, hidden = Noise(prompt), torch.randn(prompt.length, 4)
    for site in method.sites(DEPTH):
        answer = method.reduce(view(prompt, site, signals, None, DEPTH, hidden))
        assert answer is None or (answer.weights is None and torch.equal(answer.keep, prompt.visual))


def test_shares_of_the_second_method_are_of_what_entered() -> None:
    pair = Compose(AIMMerge(ratio=0.25), FastV(R=0.5))
    assert pair.plan([(32, 196)], 28) == [1568] * 2 + [784] * 26
    assert Compose(RandomDrop(ratio=0.25), PDrop()).plan([(1, 576)], 32)[::8] == [144, 72, 36, 18]


def test_frames_that_keep_equally_many_tokens_stay_frames() -> None:
    prompt, gone = layout((4, 5, 5)), torch.full((108 + 2,), -1)
    gone = gone[: prompt.length]
    kept = AIMMerge().reduce(view(prompt, hidden=torch.randn(prompt.length, 4))).keep
    gone[prompt.visual[~torch.isin(prompt.visual, kept)]] = 0
    state = view(prompt, 3, {}, gone)
    span = Compose(AIMMerge(), VAS())._entered(state).layout.spans[0]
    assert (span.frames, span.rows, span.cols) == (4, 1, 7) and torch.equal(span.positions, kept)
    entered = Compose(RandomDrop(), VAS())._entered(state).layout
    assert (entered.spans[0].frames, entered.spans[0].cols) == (1, 28)
    assert torch.equal(entered.question, prompt.question)


def test_what_a_composition_says_of_itself() -> None:
    adaptive = Compose(AIMMerge(), VAS(schedule=Rounds(3, 5, 1)))
    assert adaptive.adaptive and not Compose(AIMMerge(), FastV()).adaptive
    assert adaptive.positions == "compact" and Compose(RandomDrop(), FastV()).positions == "keep"
    assert Compose(RandomDrop(), PDrop()).positions == "compact"
    assert Compose(AIMMerge(), FastV()).knobs(28)["llm.R"] is None
    with pytest.raises(WinnowError, match="fastv acts inside the LLM: for the entrance choose a method without"):
        Compose(FastV(), VTW()).plan([(1, 4)], 28)
    with pytest.raises(WinnowError, match="sequential acts at the entrance: give it a schedule"):
        Compose(RandomDrop(), Sequential()).sites(28)
