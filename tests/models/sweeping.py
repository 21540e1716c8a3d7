"""One sweep of methods on tiny models: the cells, the cases to try them in, and what each answers alone."""

import itertools
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import pytest
import torch
import transformers

from winnow.models.check.cases import BACKENDS, BATCHES
from winnow.models.engine import Trace, Trunk, attach
from winnow.models.families import FAMILIES
from winnow.models.families.prompt import Prompt
from winnow.models.families.support import impossible
from winnow.models.loading.load import Loaded
from winnow.reducers.aim import AIM
from winnow.reducers.aim_merge import AIMMerge
from winnow.reducers.aim_prune import AIMPrune
from winnow.reducers.compose import Compose
from winnow.reducers.core.base import Reducer
from winnow.reducers.core.errors import UnsupportedError
from winnow.reducers.core.schedule import Cuts, First, K, Rounds, Window
from winnow.reducers.dart import DART
from winnow.reducers.divprune import DivPrune
from winnow.reducers.fastv import FastV
from winnow.reducers.none import NoReduction
from winnow.reducers.pdrop import PDrop
from winnow.reducers.prumerge import PruMerge
from winnow.reducers.random import RandomDrop
from winnow.reducers.tome import ToMe
from winnow.reducers.vas import VAS
from winnow.reducers.visionzip import VisionZip
from winnow.reducers.vtw import VTW

STEPS, DEPTH = 3, 6
EARLY = Rounds(start=3, end=5, interval=1)
SWEEP: dict[str, Reducer] = {
    "none": NoReduction(),
    "vtw": VTW(schedule=K(4)),
    "vas": VAS(r=0.3, trigger=0.5, schedule=EARLY),
    "vas-early": VAS(r=0.3, trigger=0.1, schedule=EARLY),
    "fastv-late": FastV(ratio=0.25, rows="text", schedule=K(3)),
    "random-layer": RandomDrop(ratio=0.3, schedule=K(3)),
    "fastv": FastV(ratio=0.5),
    "fastv-low": FastV(ratio=0.25),
    "pdrop": PDrop(ratios=(0.6, 0.2), positions="keep", schedule=Cuts((2, 4))),
    "pdrop-late": PDrop(ratios=(0.6, 0.3), positions="keep", schedule=Cuts((2, 5))),
    "aim-prune": AIMPrune(schedule=Window(2, 5)),
    "random-keep": RandomDrop(ratio=0.3),
    "random-compact": RandomDrop(ratio=0.3, positions="compact"),
    "aim": AIM(ratio=0.25, positions="keep", schedule=Window(1, 3)),
    "aim-later": AIM(ratio=0.25, positions="keep", schedule=Window(2, 5)),
    "aim-merge": AIMMerge(ratio=0.25, positions="keep"),
    "aim-keys": AIMMerge(ratio=0.25, metric="keys", positions="keep"),
    "divprune": DivPrune(ratio=0.5, positions="keep"),
    "divprune-low": DivPrune(ratio=0.25, positions="keep"),
    "dart": DART(ratio=0.3),
    "tome": ToMe(ratio=0.4, schedule=First(3)),
    "compose": Compose(PruMerge(ratio=0.25, positions="keep"), FastV(ratio=0.5)),
    "prumerge": PruMerge(ratio=0.25, positions="keep"),
    "visionzip": VisionZip(ratio=0.25, positions="keep"),
}
"""One sweep: ends of the trunk at every kind of site, equal cuts under other methods, equal tokens at other places."""
HYBRID = ("none", "vtw", "random-layer", "fastv", "fastv-low", "random-keep", "divprune", "aim-merge")
ONE_SIZE = "video" if transformers.__version__.startswith("5.17.") else "padded"
"""The batch of MiniCPM-V, of which 5.17 takes views of one size alone."""
COVERING = {
    "llava": ("eager", "padded", tuple(SWEEP)),
    "llava_onevision": ("sdpa", "video", tuple(SWEEP)),
    "qwen2_vl": ("sdpa", "padded", tuple(SWEEP)),
    "qwen3_5": ("sdpa", "padded", HYBRID),
    "qwen3_5_moe": ("eager", "padded", HYBRID),
    "minicpmv4_6": ("sdpa", ONE_SIZE, HYBRID),
}
COVERING["gemma4_e"] = ("sdpa", "padded", ("none", "fastv", "fastv-low", "random-keep", "aim-merge"))
TWINS = ("qwen3_5_moe", "glm46v")
"""Families whose layers, caches and towers are another one's."""
FEW = ("none", "fastv", "pdrop", "aim", "aim-later")


def matrix() -> Iterator[Any]:
    for family, attn, batch in itertools.product(FAMILIES, BACKENDS, BATCHES):
        covering = COVERING.get(family, ("sdpa", "padded", FEW))
        if (attn, batch) == covering[:2]:
            marks = pytest.mark.full if family in TWINS else ()
            yield pytest.param(family, attn, batch, covering[2], marks=marks)
        if covering != (attn, batch, tuple(SWEEP)):
            yield pytest.param(family, attn, batch, tuple(SWEEP), marks=pytest.mark.full)


def answer(
    loaded: Loaded, reducer: Reducer, prompts: Sequence[Prompt], trunk: Trunk | None = None, **more: Any
) -> tuple[Any, Trace]:
    model: Any = loaded.model
    inputs = loaded.family.encode(loaded.processor, list(prompts))
    fixed = {"do_sample": False, "max_new_tokens": STEPS, "min_new_tokens": STEPS, "pad_token_id": 0}
    told = {"output_logits": True, "return_dict_in_generate": True}
    keys = [prompt.text for prompt in prompts]
    with torch.no_grad(), attach(model, reducer, keys=keys, trunk=trunk) as trace:
        return model.generate(**inputs, **fixed | told | more), trace


@lru_cache(maxsize=32)
def single_runs(loaded: Loaded, names: tuple[str, ...], prompts: tuple[Prompt, ...]) -> dict[str, tuple[Any, Trace]]:
    """Made once for those that share prefills and those that decode together."""
    found = {}
    for name in names:
        if not impossible(loaded.family, SWEEP[name], DEPTH):
            try:
                found[name] = answer(loaded, SWEEP[name], prompts)
            except UnsupportedError:  # tiles, or a pooled frame with too few slots: no run to compare with
                continue
    return found
