"""Gemma 4: trained budgets, films of pictures, pictures that attend both ways in sliding layers, two kinds of heads."""

from typing import Any, cast

import numpy as np
import pytest
import torch
import yaml
from calling import ask
from PIL import Image

from winnow import configs
from winnow.harness.config.overrides import cell_from
from winnow.harness.plan.build import build_method
from winnow.models.check import Case, invariants
from winnow.models.check.cases import (
    ARCH,
    batches,
    drawn,
    image_prompt,
    mixed_prompt,
    picture,
    text_prompt,
    tiny_model,
    video_prompt,
)
from winnow.models.engine import attach
from winnow.models.families.llava import question
from winnow.models.families.prompt import Prompt
from winnow.models.loading.load import Loaded, load
from winnow.models.loading.spec import ModelSpec
from winnow.reducers.aim_merge import AIMMerge
from winnow.reducers.core.base import Reducer
from winnow.reducers.core.errors import UnsupportedError, WinnowError
from winnow.reducers.core.schedule import Cuts, First, K
from winnow.reducers.fastv import FastV
from winnow.reducers.none import NoReduction
from winnow.reducers.pdrop import PDrop
from winnow.reducers.random import RandomDrop
from winnow.reducers.tome import ToMe

FILM = Prompt("when ?", videos=[picture(4, 4)], rates=[1.0])


@pytest.fixture(scope="module")
def full() -> Loaded:
    node = yaml.safe_load((configs.FOLDER / "model" / "gemma4_31b.yaml").read_text())
    arch = node["arch"] | {"layers": 6}
    return load(ModelSpec("gemma4", "", "random", device="meta", arch=arch, max_pixels=node["max_pixels"]))


def grids(trace: Any) -> list[list[tuple[int, int, int]]]:
    return [[(s.frames, s.rows, s.cols) for s in told.layout.spans] for told in trace.prompts]


@pytest.mark.parametrize("budget", [70, 140, 280, 560, 1120])
@pytest.mark.parametrize("size", [(1920, 1080), (64, 64), (960, 672)])
def test_a_picture_of_any_size_keeps_within_a_trained_budget(full: Loaded, budget: int, size: tuple[int, int]) -> None:
    full.family.cap(full.processor, budget * 48**2, 1)
    inputs = full.encode([Prompt("?", images=[Image.new("RGB", size)])])
    ids, model = inputs["input_ids"][0], cast(Any, full.model)
    (span,) = full.family.layouts(model.model, [ids], inputs)[0].spans
    assert torch.equal((ids == model.config.image_token_id).nonzero().flatten(), span.positions)
    assert 0.85 * budget < len(span) <= budget and inputs["pixel_values"].shape == (1, 9 * budget, 768)
    assert span.cols / span.rows == pytest.approx(size[0] / size[1], rel=0.3)
    assert len(span) == 256 or (budget, size) != (280, (64, 64))
    assert len(span) == 280 or (budget, size) != (280, (960, 672))


def test_frames_at_full_scale(full: Loaded) -> None:
    full.family.cap(full.processor, 645120, 4)
    inputs = full.encode([Prompt("?", [np.zeros((8, 336, 480, 3), np.uint8)])])
    (layout,) = full.family.layouts(full.model.model, list(inputs["input_ids"]), inputs)
    assert [(s.frames, s.rows, s.cols, s.film) for s in layout.spans] == [(8, 7, 10, True)]


def test_other_budgets_are_refused() -> None:
    loaded: Any = tiny_model("gemma4", "sdpa")
    with pytest.raises(WinnowError, match=r"pictures of 100 tokens: gemma4 was trained with 70 \| 140"):
        loaded.family.cap(loaded.processor, 100 * 12**2, 1)
    words = ["model=gemma4_31b", "reducer=none"]
    assert build_method(cell_from([*words, "downsample.pixels=4"])).visual == [32 * 70] * 60
    for more in ("downsample.pixels=3", "model.max_pixels=200704"):
        with pytest.raises(WinnowError, match=r"model=gemma4_31b was trained with pictures of 70 \| 140"):
            build_method(cell_from([*words, more]))


def test_a_film_of_pictures_is_to_the_model_what_the_library_makes_of_it() -> None:
    loaded: Any = tiny_model("gemma4", "sdpa")
    tokenizer, config = loaded.processor.tokenizer, loaded.model.config
    own = loaded.encode([FILM])
    theirs = loaded.processor(
        text=[question(loaded.processor, FILM)],
        videos=FILM.videos,
        return_tensors="pt",
        videos_kwargs={"video_metadata": [FILM.clocks], "do_sample_frames": False},
    )
    video = tokenizer.convert_tokens_to_ids(loaded.processor.video_token)
    theirs["input_ids"][theirs["input_ids"] == video] = config.video_token_id  # a token that the processor adds
    frames = theirs["input_ids"] == config.video_token_id
    assert torch.equal(own["input_ids"], theirs["input_ids"].masked_fill(frames, config.image_token_id))
    with torch.no_grad(), attach(loaded.model, NoReduction()) as trace:
        one, other = (loaded.model(**inputs).logits for inputs in (own, theirs))
        assert torch.allclose(one, other, atol=1e-3)  # the library divides the pixels of films in another order
        assert grids(trace) == [[(4, 6, 10)]]
    (text,) = loaded.processor.batch_decode(own["input_ids"])
    assert "00:00 <|begin" in text and " 00:03 <|begin" in text


def test_films_and_pictures_lie_as_they_are_shown() -> None:
    """In scoring and generation: two films in a row, two pictures and a film, a film of 200 minutes, no picture."""
    loaded: Any = tiny_model("gemma4", "sdpa")
    films = Prompt("which ?", videos=[picture(2, 3), picture(3, 2)], rates=[2.0, 1.0])
    late = Prompt("late ?", videos=[picture(1, 3)], rates=[1 / 6000])
    inputs = loaded.encode([films, mixed_prompt(), late, text_prompt()])
    expected = [[(3, 6, 10), (2, 6, 10)], [(1, 6, 10), (1, 6, 10), (2, 6, 10)], [(3, 6, 10)], []]
    with torch.no_grad(), attach(loaded.model, NoReduction()) as trace:
        loaded.model(**inputs)
        assert grids(trace) == expected
        loaded.model.generate(**inputs, max_new_tokens=1, pad_token_id=0)
        assert grids(trace) == expected


def test_placeholders_that_do_not_fit_are_refused() -> None:
    loaded: Any = tiny_model("gemma4", "sdpa")
    inputs = loaded.encode([image_prompt()])
    ids = inputs["input_ids"][0]
    cut = int((ids == loaded.model.config.image_token_id).nonzero()[-1])
    with pytest.raises(WinnowError, match="59 placeholder tokens do not fit"):
        loaded.family.layouts(loaded.model.model, [torch.cat([ids[:cut], ids[cut + 1 :]])], inputs)


@pytest.mark.parametrize(
    "reducer", [RandomDrop(ratio=0.4), PDrop(ratios=(0.6, 0.2), positions="keep", schedule=Cuts((2, 5)))]
)
def test_windows_narrower_than_a_picture(reducer: Reducer) -> None:
    """Places count, in the window and in the picture, not survivors; full layers go one way."""
    narrow = drawn("gemma4", "sdpa", ARCH | {"sliding_window": 40})
    invariants.INVARIANTS["oracle"](Case(narrow, reducer, [video_prompt(2), image_prompt()]))


@pytest.mark.parametrize(
    ("reducer", "attn"),
    [
        pytest.param(ToMe(ratio=0.4, schedule=First(4)), "sdpa", id="inside"),
        pytest.param(RandomDrop(ratio=0.3, schedule=K(2)), "eager", id="layer"),
        pytest.param(FastV(ratio=0.25, schedule=K(3)), "sdpa", id="fastv", marks=pytest.mark.full),
        pytest.param(AIMMerge(ratio=0.25), "eager", id="merged", marks=pytest.mark.full),
    ],
)
def test_experts_beside_the_mlp_see_what_is_left(reducer: Reducer, attn: str) -> None:
    """In 26B-A4B they read what stands behind attention by themselves, next to the norm before the MLP."""
    mixed = drawn("gemma4", attn, ARCH | {"experts": 4, "experts_per_token": 2, "expert_mlp": 32})
    assert len([name for name, _ in mixed.model.named_modules() if name.endswith(".router")]) == 6
    case = Case(mixed, reducer, batches("gemma4")["padded"])
    for invariant in invariants.INVARIANTS.values():
        invariant(case)


def test_a_picture_attends_both_ways_in_sliding_layers_alone() -> None:
    loaded: Any = tiny_model("gemma4", "sdpa")
    inputs = dict(loaded.encode([image_prompt()]))
    fit: Any = None
    with torch.no_grad(), attach(loaded.model, RandomDrop(ratio=0.5), keys=["a"]) as trace:
        loaded.model(**inputs)
        fit = vars(loaded.model.model.language_model)["_winnow_session"].fit
    assert trace.prompts[0].visual_per_layer[0] == 30
    assert fit.both_ways == {0, 1, 3, 4} and [fit.causal(layer) for layer in range(6)] == [False, False, True] * 2


def test_who_does_not_tell_the_kinds_of_tokens_is_refused() -> None:
    loaded: Any = tiny_model("gemma4", "sdpa")
    inputs = dict(loaded.encode([image_prompt()]))
    del inputs["mm_token_type_ids"]
    with attach(loaded.model, NoReduction()), pytest.raises(UnsupportedError, match="gemma4 needs mm_token_type_ids"):
        ask(loaded.model, inputs)


@pytest.mark.parametrize("wanted", [1, 3])
def test_as_many_logits_as_are_asked_for(wanted: int) -> None:
    """The library leaves them out only where the LLM has as many tokens as were given."""
    loaded: Any = tiny_model("gemma4", "sdpa")
    inputs = loaded.encode([image_prompt()])
    with torch.no_grad(), attach(loaded.model, RandomDrop(ratio=0.5), keys=["a"]):
        every, last = loaded.model(**inputs).logits, loaded.model(**inputs, logits_to_keep=wanted).logits
    assert last.shape[1] == wanted and torch.allclose(last, every[:, -wanted:], atol=1e-4)


def test_drafts_hold_in_the_first_turn_and_are_refused_beside_later_pictures() -> None:
    """transformers 5.23 itself looks for the pictures of both turns among the features of the second."""
    loaded = tiny_model("gemma4", "sdpa")
    model, kinds = cast(Any, loaded.model), loaded.family.kinds
    inputs, drafts = loaded.encode([image_prompt("is it red ? is it")]), {"prompt_lookup_num_tokens": 2}
    with attach(model, NoReduction()):
        plain, first = ask(model, inputs), ask(model, inputs, **drafts)
        assert torch.equal(plain.sequences, first.sequences)
        before = torch.zeros_like(plain.sequences)
        later = {**inputs, "input_ids": torch.cat([plain.sequences, inputs["input_ids"]], 1)}
        later |= {kinds: torch.cat([before, inputs[kinds]], 1), "past_key_values": plain.past_key_values}
        del later["attention_mask"]
        with pytest.raises(UnsupportedError, match="prompt_lookup_num_tokens: in a later turn with pictures Gemma4"):
            ask(model, later, **drafts)
        assert len(ask(model, later).logits) == 4
