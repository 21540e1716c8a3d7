"""A random call of a random method on a random model, and what the mask-out oracle says of it.

Where layers carry a state in place of attention, the oracle feeds them the tokens that are left.
"""

import random
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import transformers
from calling import ask
from PIL import Image
from torch import Tensor
from transformers import DynamicCache

from winnow.models.check.cases import picture, placeholders, tiny_model
from winnow.models.check.oracle import conversation_logits
from winnow.models.engine import attach, trained_positions
from winnow.models.engine.trace import PromptTrace
from winnow.models.families import FAMILIES, find_family
from winnow.models.families.hybrid import fitted
from winnow.models.families.prompt import Prompt
from winnow.models.families.support import impossible
from winnow.models.loading.load import Loaded
from winnow.models.transformers_api import CACHE, cache_of
from winnow.reducers.compose import Compose
from winnow.reducers.core.base import Reducer
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.schedule import Cuts, K, Rounds
from winnow.reducers.fastv import FastV
from winnow.reducers.pdrop import PDrop
from winnow.reducers.random import RandomDrop
from winnow.reducers.sequential import Sequential
from winnow.reducers.uniform import Uniform
from winnow.reducers.vas import VAS
from winnow.reducers.vtw import VTW

STEPS = 3
METHODS: tuple[Reducer, ...] = (
    RandomDrop(ratio=0.3),
    RandomDrop(ratio=0.4, schedule=K(2)),
    RandomDrop(ratio=0.25, schedule=Cuts((2, 4))),
    FastV(ratio=0.25),
    FastV(ratio=0.4, rows="text", schedule=K(3)),
    FastV(ratio=0.3, rows="all", select="lowest"),
    PDrop(ratios=(0.6, 0.2), positions="keep", schedule=Cuts((1, 4))),
    VAS(r=0.4, trigger=0.3, schedule=Rounds(start=3, end=5, interval=1)),
    VTW(schedule=K(3)),
    Uniform(ratio=0.3),
    Sequential(ratio=0.5, schedule=K(1)),
    Compose(RandomDrop(ratio=0.6), FastV(ratio=0.5)),
)
MROPE = tuple(name for name in FAMILIES if find_family(name).mrope)
TIMED = tuple(name for name in MROPE if not name.startswith("qwen2"))
"""Those of them that write the time between the steps of a film."""
TILED = (
    "internvl",
    "smolvlm",
    "perception_lm",
    "glm4v",
    "glm46v",
    "glm4v_moe",
    "gemma3",
    "gemma4",
    "gemma4_e",
    "video_llama_3",
    "minicpmv4_6",
)
"""Those whose pictures 5.17 repeats one by one for several sequences, see the docs; PerceptionLM's films all do."""
ONCE = ("gemma4", "gemma4_e", "molmo2")
"""Those that are asked once: padding between turns counts in a window, drafts behind a second picture, with which
transformers 5.23 fails by itself, differ, and Molmo 2 counts patches from the first of all pictures of a call."""
LONG = (20, 128, 768)
"""Frames of the longest films, with one token in two frames, where no time is written beside each of these."""
CHANNELS = ("pixel_values", "pixel_values_images", "pixel_values_videos", "image_sizes", "frames")
GRIDS = ("image_grid_thw", "video_grid_thw", "second_per_grid_ts", "image_position_ids")
GRIDS += ("target_sizes", "target_sizes_videos", "image_grids", "image_token_pooling")
MERGED = ("image_merge_sizes", "video_merge_sizes", "video_compression_mask")
KINDS = ("mm_token_type_ids", "token_type_ids")
WORDS = ("what is this ?", "red ?", "count them all , please .", "why ?", "is it red ? is it red ? is it")


@dataclass(frozen=True)
class Draw:
    """One call: what is asked of whom, on which cache, and how the answer is chosen."""

    family: str
    attn: str
    method: Reducer
    turns: tuple[tuple[Prompt, ...], ...]
    cache: str
    options: dict[str, Any]

    @property
    def copies(self) -> int:
        """Sequences of each prompt."""
        return int(self.options.get("num_return_sequences", 1))


def draw(seed: int) -> Draw:
    """Draw a call; the same for the same seed."""
    dice = random.Random(seed)
    family, method = dice.choice(list(FAMILIES)), dice.choice(METHODS)
    loaded = tiny_model(family, "sdpa")
    while impossible(loaded.family, method, 6):
        method = dice.choice(METHODS)
    method = fitted(method, 6, loaded.family.full_every)
    many, states = dice.random() < 0.4 and family not in ONCE, loaded.family.full_every > 1
    turns = dice.choice((2, 3)) if many else 1
    batch = dice.choice((1, 1, 2)) if many else dice.choice((1, 1, 2, 3))
    batch = 1 if many and states else batch  # padding behind a state is refused
    film = dice.choice((2, 4))
    asked = []
    for turn in range(turns):
        seen = turn == 0 or not loaded.family.mrope
        asked.append(tuple(_prompt(dice, family, film, seen, alone=many) for _ in range(batch)))
    options, cache = _options(dice, batch, turns), dice.choice(("own", "given", "bare", "copied" if many else "none"))
    films = family == "perception_lm" and any(prompt.videos for turn in asked for prompt in turn)
    if films or (family in TILED and transformers.__version__.startswith("5.17.")):
        options = {name: value for name, value in options.items() if name not in ("num_beams", "num_return_sequences")}
    if "prompt_lookup_num_tokens" in options and states:
        options = {}  # which forgets no draft
    if (cache == "bare" and states) or (cache == "none" and "prompt_lookup_num_tokens" in options):
        cache = "own"
    return Draw(family, dice.choice(("sdpa", "eager")), method, tuple(asked), cache, options)


def _prompt(dice: random.Random, family: str, film: int, seen: bool, alone: bool) -> Prompt:
    text, seed = dice.choice(WORDS), dice.randrange(1000)
    kind = dice.choice(("image", "video", "video", "text")) if seen else "text"
    if family == "llava_onevision" and alone and kind == "image":
        kind = "video"  # images of several turns are tiled each for itself, films are joined
    if kind == "image":
        return Prompt(text, images=[Image.fromarray(picture(seed))])
    if kind == "video" and family in MROPE:
        return _film(dice, text, seed, LONG[:1] if family in TIMED else LONG)
    if kind == "video" and (family, alone) != ("llava", False):
        return Prompt(text, videos=[np.asarray(picture(seed, film))])
    return Prompt(text) if kind == "text" else Prompt(text, images=[Image.fromarray(picture(seed))])


def _film(dice: random.Random, text: str, seed: int, long: tuple[int, ...]) -> Prompt:
    """A film of 2 to 768 frames at 0.2 to 30 frames a second, the longer the smaller; or two pictures and a film."""
    frames, size = dice.choice(((2, (40, 60)), (4, (40, 60)), (10, (16, 24)), (dice.choice(long), (8, 8))))
    film = [picture(seed, frames, size)]
    stills = [Image.fromarray(picture(seed + i, size=(16, 24))) for i in range(dice.choice((0, 0, 2)))]
    return Prompt(text, videos=film, images=stills, rates=[dice.choice((0.2, 1.0, 2.0, 30.0, dice.uniform(0.2, 30)))])


def _options(dice: random.Random, batch: int, turns: int) -> dict[str, Any]:
    ways: list[dict[str, Any]] = [{}, {}, {"do_sample": True, "top_k": 0}, {"prefill_chunk_size": 7}]
    if turns == 1:
        ways += [{"do_sample": True, "top_k": 0, "num_return_sequences": 2}, {"num_beams": 2}]
    if batch == 1:
        ways.append({"prompt_lookup_num_tokens": 2})
    return dice.choice(ways)


def check(call: Draw) -> float:
    """The largest gap to the oracle over all sequences of the last turn (for beams: of the best one's score)."""
    loaded, told = tiny_model(call.family, call.attn), []
    model: Any = loaded.model
    batch = len(call.turns[0])
    ids, mask, cache, out = torch.zeros(batch, 0).long(), torch.zeros(batch, 0).long(), None, None
    asked = mask
    with attach(model, call.method, keys=[str(b) for b in range(batch)]) as trace:
        for prompts in call.turns:
            inputs = dict(loaded.family.encode(loaded.processor, list(prompts)))
            if call.family in MROPE and not told:
                inputs["position_ids"] = trained_positions(model, inputs)
            asked = torch.cat([ids, inputs.pop("input_ids")], 1)
            mask = torch.cat([mask, inputs.pop("attention_mask")], 1)
            for name in KINDS:
                if (kinds := inputs.pop(name, None)) is not None:
                    inputs[name] = torch.cat([kinds.new_zeros(ids.shape), kinds], 1)
            given = inputs | {"input_ids": asked, "attention_mask": mask} | _cache(call, cache, loaded)
            torch.manual_seed(1)
            try:
                never = {"suppress_tokens": placeholders(model)}
                out = ask(model, given, steps=STEPS, **call.options, **never, output_scores=True)
            except (ValueError, WinnowError) as fault:
                return _as_plain(str(fault))
            told.append(list(trace.prompts))
            ids = out.sequences
            mask = torch.cat([mask, torch.ones(batch, STEPS).long()], 1)
            cache = cache_of(out)
    assert out is not None
    whole = [_alone(call, loaded, b, asked[b][mask[b, : asked.shape[1]].bool()]) for b in range(batch)]
    return _gap(call, loaded, out, told, whole)


def _as_plain(fault: str) -> float:
    """An answer or a draft with a placeholder in it, fed without its picture, is an error of the plain model too.

    What a sliding window does not hold is refused, as it is to be, and what an older transformers cannot do.
    """
    right = "do not match", "do not fit", "(sliding window), so that", "or install transformers>="
    if not any(words in fault for words in right):
        raise AssertionError(fault)
    return 0.0


def _cache(call: Draw, cache: Any, loaded: Loaded) -> dict[str, Any]:
    """The cache as the draw wants it passed."""
    if cache is None and call.cache == "none":
        return {"use_cache": False}
    if cache is None:
        made = {"given": DynamicCache(config=loaded.model.config), "bare": DynamicCache()}.get(call.cache)
        return {} if made is None else {CACHE: made}
    return {CACHE: deepcopy(cache) if call.cache == "copied" else cache}


def _alone(call: Draw, loaded: Loaded, b: int, ids: Tensor) -> dict[str, Any]:
    """All turns of one prompt as the plain model takes them at once."""
    found: dict[str, list[Tensor]] = {}
    for prompts in call.turns:
        inputs = loaded.family.encode(loaded.processor, [prompts[b]])
        for name in (*CHANNELS, *GRIDS, *MERGED, "batch_num_images", *KINDS):
            if name in inputs:
                found.setdefault(name, []).append(torch.as_tensor(inputs[name]))
    kinds = found.pop("mm_token_type_ids", None)
    found.pop("token_type_ids", None)
    side = 1 if loaded.family.name in ("llava_video", "vila", "longva", "pllava", "smolvlm") else 0
    side = -1 if loaded.family.packed else side
    whole: dict[str, Any] = {
        name: torch.cat(values, 0 if name in loaded.family.sizes else side) for name, values in found.items()
    }
    if kinds is not None:
        whole["mm_token_type_ids"] = torch.cat([kinds[0], kinds[0].new_zeros(1, len(ids) - kinds[0].shape[1])], 1)
    whole["input_ids"] = ids[None]
    if loaded.family.both_ways:
        whole[loaded.family.kinds] = (whole["input_ids"] == loaded.model.config.image_token_id).long()
    return whole | ({"position_ids": trained_positions(loaded.model, whole)} if call.family in MROPE else {})


def _gap(call: Draw, loaded: Loaded, out: Any, told: list[list[PromptTrace]], whole: list[dict[str, Any]]) -> float:
    parts, gaps = loaded.family.parts(loaded.model), []
    each = len(told[-1]) // len(whole)
    for row, answer in enumerate(out.sequences[:, -STEPS:]):
        b = row // call.copies
        turns = [turn[b * (len(turn) // len(whole))] for turn in told]
        logits = conversation_logits(loaded.model, parts, whole[b], answer, turns)[-STEPS - 1 : -1]
        if call.options.get("num_beams"):
            score = float(logits.log_softmax(-1).gather(1, answer[:, None]).sum())
            gaps.append(abs(float(out.sequences_scores[row]) * STEPS - score) / 5)
        else:
            gaps.append(float((torch.stack(out.logits, 1)[row] - logits).abs().max()))
    assert each == max(call.copies, call.options.get("num_beams", 1))
    return max(gaps)
