"""Numbers at the ends of what each option allows, and right behind them; what is said of these."""

from typing import Any

import pytest

from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.registry import METHODS, find
from winnow.reducers.core.schedule import Cuts

SHARE = "choose a share of visual tokens kept"
LITTLE = 1e-9

ALLOWED: dict[str, list[dict[str, Any]]] = {
    "aim": [{"r": 0}, {"r": (0, 3)}, {"slope": LITTLE}],
    "aim_merge": [{"r": 0}, {"r": (0, 3)}],
    "aim_prune": [{"slope": LITTLE}],
    "ats": [{"n": 2}, {"least": 2}, {"at": (0.0,)}, {"at": (0.999,)}],
    "average": [{"ratio": 1.0}, {"ratio": 0.0625}],
    "cdpruner": [{"weight": 0.0}, {"weight": 1.0}],
    "dart": [{"pivots": 1}, {"text_pivots": 0}, {"R": 0.0}, {"least": 0}, {"parts": "frame"}],
    "dtd": [{"tau": -1.0}, {"tau": 2.0}, *({"threshold": "relative", "tau": tau} for tau in (0.0, 1.0))],
    "dycoke": [{"k": 0.0}, {"p": 0.0}],
    "evit": [{"rate": 1.0}, {"ratio": LITTLE}],
    "evs": [{"q": 0.0}],
    "fastv": [{"R": 0.0}],
    "fastvid": [{"segments": 1}, {"every": 1}, {"context": 1.0}, {"beta": 1.0}, {"beta": LITTLE}],
    "ficoco_v": [{"r": 0}, {"start": 0.0}, {"alpha": 0.0}, {"alpha": 1.0}, {"quantile": 0.0}, {"quantile": 1.0}],
    "flashvid": [{"expansion": 1.0}, {"segments": 1}, {"alpha": 1.0}, {"second": 1.0}],
    "framefusion": [{"tau": -1.0}, {"tau": 1.0}, {"least": 0.0}, {"least": 1.0}, {"layers": 1}],
    "grid": [{"a": 1, "b": 1}],
    "hiprune": [{"alpha": 0.0}, {"alpha": 1.0}],
    "hired": [{"alpha": 0.0}, {"alpha": 1.0}],
    "holitom": [{"D": 0.0}, {"D": 1.0}, {"beta": 1.0}],
    "holov": [{"runs": 1}],
    "illava": [{"r": 0}, {"second": 1.0}],
    "mmtok": [{"alpha": 0.0}, {"text": LITTLE}, {"vision": LITTLE}],
    "pact": [{"share": 1.0}, {"share": LITTLE}, {"cutoff": 2.0}, {"cutoff": -1.0}, {"recovery": 0.0}],
    "pdrop": [{"ratios": (0.5, 0.5, 0.5)}],
    "pixelprune": [{"tau": 0.999}, {"tau": -1.0}],
    "prumerge": [{"attended": 1 / 3}, {"attended": LITTLE}, {"k": 1}],
    "scissor": [{"tau": -1.0}, {"tau": 2.0}],
    "scope": [{"alpha": 0.0}],
    "sparsevlm": [{"counts": (1.0, LITTLE, 1.0)}, {"heads": 1}, {"counts": (0.5,), "schedule": Cuts((2,))}],
    "tome": [{"r": 0}],
    "tome_tower": [{"r": 0}, {"r": (0, 3)}],
    "v2drop": [{"keep": (1.0, 0.5, 0.0)}],
    "vas": [{"r": 0.0}, {"r": 0.999}, {"trigger": 0.0}, {"trigger": 1.0}],
    "vcc": [{"stride": 1}, {"stride": 9, "mode": "2d"}, {"ratio": 1.0}],
    "vidcom2": [{"q": 0.0}],
    "vscan": [{"windows": 1}, {"second": 1.0}],
}

REFUSED: dict[str, list[tuple[dict[str, Any], str]]] = {
    "aim": [({"r": -1}, "r=-1 is not allowed: choose 0 or more"), ({"slope": 0.0}, "slope=0.0 is not allowed")],
    "aim_merge": [({"r": (3, -1)}, r"r=\(3, -1\) is not allowed: choose 0 or more tokens per iteration")],
    "aim_prune": [
        ({"slope": 0.0}, "slope=0.0 is not allowed: choose a share per layer, slope > 0"),
        ({"ratio": 0.5}, "ratio=0.5 means nothing to pruning alone"),
    ],
    "ats": [
        ({"n": 1}, "n=1 is not allowed: choose 2 or more"), ({"least": 1}, "least=1 is not allowed: choose 2 or more"),
        ({"at": (1.0,)}, r"at=\[1.0\] is not allowed: choose shares of the tower's depth"),
        ({"at": (-0.1,)}, "choose shares of the tower"), ({"at": ()}, r"at=\[\] is not allowed"),
    ],
    "average": [({"ratio": 0.3}, "this method halves")],
    "cdpruner": [
        ({"weight": -0.1}, "weight=-0.1 is not allowed"), ({"weight": 1.1}, "weight=1.1 is not allowed"),
        ({"variant": "clip"}, "needs weights beside the model"), ({"text_tower": "x"}, "reads no reducer.text_tower"),
    ],
    "cgsm": [({"r": -1}, "r=-1 is not allowed: choose 0 or more tokens per block")],
    "dart": [
        ({"pivots": 0}, "pivots=0 is not allowed: choose 1 or more tokens"), ({"R": 1.0}, f"1-R=0.0 .* {SHARE}"),
        ({"text_pivots": -1}, "text_pivots=-1 is not allowed: choose 0 or more tokens"), ({"R": -0.5}, "1-R=1.5"),
        ({"least": -1}, "least=-1 is not allowed: choose 0 or more"), ({"parts": "frame", "at": "layer"}, "parts="),
    ],
    "dtd": [
        ({"tau": -1.1}, "tau=-1.1 is not allowed: choose a cosine"),
        ({"threshold": "relative", "tau": 1.1}, "tau=1.1 is not allowed: choose the share of a frame that goes"),
        ({"threshold": "relative", "tau": -0.1}, "tau=-0.1"),
    ],
    "dycoke": [({"k": 1.0}, "1-k=0.0"), ({"k": -0.5}, "1-k=1.5"), ({"p": 1.0}, "1-p=0.0"), ({"p": -0.5}, "1-p=1.5")],
    "evit": [({"rate": 0.0}, "rate=0.0"), ({"rate": 1.1}, "rate=1.1"), ({"ratio": 0.0}, "ratio=0.0")],
    "evs": [({"q": 1.0}, "1-q=0.0"), ({"q": -0.5}, "1-q=1.5")],
    "fastv": [({"R": 1.0}, "1-R=0.0"), ({"schedule": None}, "give it a schedule of kind k with k >= 1")],
    "fastvid": [
        ({"segments": 0}, "segments=0 is not allowed: choose 1 or more"), ({"every": 0}, "every=0 is not allowed"),
        ({"context": 0.0}, "context=0.0"), ({"beta": 0.0}, "beta=0.0"), ({"beta": 1.1}, "beta=1.1"),
        ({"variant": "head"}, "needs weights beside the model"), ({"pooling_head": "x"}, "reads no reducer"),
    ],
    "ficoco_v": [
        ({"r": -1}, "r=-1 is not allowed"), ({"start": 1.0}, "start=1.0"), ({"start": -0.1}, "start=-0.1"),
        ({"alpha": 1.1}, "alpha=1.1"), ({"alpha": -0.1}, "alpha=-0.1"), ({"quantile": 1.1}, "quantile=1.1"),
        ({"quantile": -0.1}, "quantile=-0.1 is not allowed: choose shares from 0 to 1"),
    ],
    "flashvid": [
        ({"expansion": 0.9}, "expansion=0.9"), ({"segments": 0}, "segments=0 is not allowed: choose 1 or more"),
        ({"alpha": 0.0}, "alpha=0.0"), ({"second": 0.0}, "second=0.0"),
    ],
    "frame_pairs": [({"schedule": None}, "reads the attention of layer k-1")],
    "framefusion": [
        ({"tau": 1.1}, "tau=1.1"), ({"tau": -1.1}, "tau=-1.1"), ({"least": 1.1}, "least=1.1"),
        ({"least": -0.1}, "least=-0.1"), ({"layers": 0}, "layers=0 is not allowed: choose a cosine"),
    ],
    "grid": [
        ({"a": 0, "b": 1}, "a=0 reducer.b=1 is not allowed: give both"), ({"a": 1, "b": 0}, "b=0"),
        ({"a": 1}, "b=None"), ({"b": 1}, "a=None"),
    ],
    "hiprune": [({"alpha": 1.1}, "alpha=1.1 is not allowed: choose a share"), ({"alpha": -0.1}, "alpha=-0.1")],
    "hired": [({"alpha": 1.1}, "alpha=1.1 is not allowed: choose a share"), ({"alpha": -0.1}, "alpha=-0.1")],
    "holitom": [({"D": 1.1}, "D=1.1 is not allowed"), ({"D": -0.1}, "D=-0.1"), ({"beta": 0.0}, "beta=0.0")],
    "holov": [({"runs": 0}, "runs=0 is not allowed: choose 1 or more")],
    "illava": [({"r": -1}, "r=-1 is not allowed"), ({"second": 0.0}, "second=0.0")],
    "mmtok": [
        ({"alpha": -0.1}, "alpha=-0.1"), ({"text": 0.0}, "text=0.0"),
        ({"vision": 0.0}, "vision=0.0 is not allowed: choose temperatures above 0 and alpha >= 0"),
    ],
    "pact": [
        ({"share": 0.0}, "share=0.0"), ({"share": 1.1}, "share=1.1"), ({"cutoff": 2.1}, "cutoff=2.1"),
        ({"recovery": -0.1}, "recovery=-0.1 is not allowed: choose a share above 0, a distance, and 0 or more"),
    ],
    "pdrop": [
        ({"ratios": (0.5, 0.6, 0.5)}, "give one falling share"), ({"ratios": (0.5,)}, r"for each of the cuts \[8, 16"),
    ],
    "pixelprune": [({"tau": 1.0}, "tau=1.0 is not allowed: choose a distance below 1")],
    "prumerge": [
        ({"attended": 0.0}, "attended=0.0"), ({"attended": 0.34}, "attended=0.34 is not allowed: choose a share"),
        ({"k": 0}, "k=0 is not allowed: choose 1 or more neighbours"), ({"order": "x"}, "order=x is not allowed"),
    ],
    "scissor": [({"tau": -1.1}, "tau=-1.1 is not allowed: choose a cosine")],
    "scope": [({"alpha": -0.1}, "alpha=-0.1 is not allowed: choose an exponent of 0 or more")],
    "sparsevlm": [
        ({"counts": (0.5, 0.5)}, r"counts=\[0.5, 0.5\] is not allowed"), ({"counts": (0.5, 0.0, 0.5)}, "counts="),
        ({"counts": (0.5, 1.1, 0.5)}, "counts="), ({"schedule": Cuts((2,))}, r"schedule.cuts=\[2\] are not 3"),
        ({"heads": 0}, "heads=0 is not allowed: choose 1 or more"),
    ],
    "tome": [({"r": -1}, "r=-1 is not allowed: choose 0 or more tokens per layer")],
    "tome_tower": [({"r": (3, -1)}, r"r=\(3, -1\) is not allowed: choose 0 or more tokens per block")],
    "v2drop": [
        ({"keep": (0.5, 0.5)}, "give a share from 0 to 1 for each of the cuts"), ({"keep": (1.1, 0.5, 0.5)}, "keep="),
        ({"keep": (0.5, 0.5, -0.1)}, "keep="),
    ],
    "vas": [
        ({"r": 1.0}, "r=1.0 is not allowed: choose a share, 0 <= r < 1"), ({"r": -0.1}, "r=-0.1"),
        ({"trigger": 1.1}, "trigger=1.1 is not allowed: choose a share"), ({"trigger": -0.1}, "trigger=-0.1"),
    ],
    "vcc": [
        ({"stride": 0}, "stride=0"), ({"stride": 8, "mode": "2d"}, "choose 1, 4, 9, 16"),
        ({"ratio": 0.3}, "takes 1/stride"), ({"stride": -1}, "choose 1, 2, 3"),
    ],
    "vidcom2": [({"q": 1.0}, "1-q=0.0"), ({"q": -0.5}, "1-q=1.5")],
    "vscan": [({"windows": 0}, "windows=0 is not allowed: choose 1 or more"), ({"second": 0.0}, "second=0.0")],
}  # fmt: skip


def method(name: str, options: dict[str, Any]) -> Any:
    return find(f"winnow.reducers.{name}:{METHODS[name]}")(**options)


@pytest.mark.parametrize("name", ALLOWED)
def test_the_ends_are_allowed(name: str) -> None:
    for options in ALLOWED[name]:
        made = method(name, options)
        assert all(getattr(made, key) == value for key, value in options.items())


@pytest.mark.parametrize("name", REFUSED)
def test_what_lies_behind_them_is_refused(name: str) -> None:
    for options, said in REFUSED[name]:
        with pytest.raises(WinnowError, match=said):
            method(name, options)


@pytest.mark.parametrize("name", sorted(METHODS.keys() - {"compose"}))
def test_a_ratio_is_a_share(name: str) -> None:
    if getattr(method(name, {}), "ratio", None) is None:
        return
    for ratio in (0.0, -0.5, 1.1):
        with pytest.raises(WinnowError, match=rf"ratio={ratio} is not allowed"):
            method(name, {"ratio": ratio})
    assert method(name, {"ratio": 1.0}).ratio == 1.0
