"""Molmo 2: crops and frames as one grid each, pictures pooled by attention, all of them seen both ways together."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from calling import joined, oracle_gap
from PIL import Image

from winnow import configs
from winnow.models.check.cases import mixed_prompt, picture, text_prompt, tiny_model, video_prompt
from winnow.models.engine import attach
from winnow.models.families import find_family, missing
from winnow.models.families.llava import question
from winnow.models.families.prompt import Prompt
from winnow.models.loading.byte_tokenizer import byte_tokenizer
from winnow.models.loading.random_weights import random_config
from winnow.models.loading.spec import ModelSpec
from winnow.reducers.core.errors import UnsupportedError, WinnowError
from winnow.reducers.none import NoReduction
from winnow.reducers.random import RandomDrop

pytestmark = pytest.mark.skipif(bool(missing("molmo2")), reason="this version of transformers has no Molmo 2")
STILLS = Prompt("which ?", images=[Image.fromarray(picture(seed, size=(40, 60))) for seed in (4, 5)])
FILM = Prompt("when ?", videos=[picture(2, 3)], rates=[2.0])


def grids(layout: Any) -> list[tuple[int, int, int, int]]:
    return [(span.frames, span.rows, span.cols, span.view) for span in layout.spans]


def layouts_of(family: Any, outer: Any, inputs: Any) -> list[Any]:
    prompts = [ids[mask.bool()] for ids, mask in zip(inputs["input_ids"], inputs["attention_mask"], strict=True)]
    layouts: list[Any] = family.layouts(outer, prompts, inputs)
    return layouts


@pytest.mark.parametrize(
    ("size", "whole", "crops"), [((378, 378), (14, 14), (14, 14)), ((1920, 1080), (14, 14), (23, 42))]
)
def test_pictures_and_frames_at_full_scale(size: tuple[int, int], whole: Any, crops: Any) -> None:
    """Of 1920 x 1080 pixels 2 x 4 crops, each 19 patches further than the last: 46 x 84 patches."""
    entry = yaml.safe_load((configs.FOLDER / "model" / "molmo2_8b.yaml").read_text())
    family = find_family("molmo2")
    config: Any = random_config(family, ModelSpec("molmo2", "", "random", arch=entry["arch"]))
    processor: Any = family.processor(config, byte_tokenizer())
    film = np.zeros((2, *size[::-1], 3), np.uint8)
    inputs = family.encode(processor, [Prompt("?", images=[Image.new("RGB", size)]), Prompt("?", videos=[film])])
    still, frames = layouts_of(family, SimpleNamespace(config=config), inputs)
    assert grids(still) == [(1, *whole, 0), (1, *crops, 1)] and grids(frames) == [(2, 9, 9, 0)]
    assert processor.image_processor.get_number_of_image_patches(*size[::-1]) == len(still.visual)
    rows = whole[0] + crops[0]
    assert len(still.separators) == rows + 4 and len(frames.separators) == 4


def test_what_sees_each_other_is_what_the_model_is_told() -> None:
    loaded: Any = tiny_model("molmo2", "sdpa")
    inputs = loaded.encode([mixed_prompt(), video_prompt(3), text_prompt()])
    layouts = layouts_of(loaded.family, loaded.model.model, inputs)
    for layout, kinds, mask in zip(layouts, inputs["mm_token_type_ids"], inputs["attention_mask"], strict=True):
        seen = torch.cat([layout.visual, layout.separators]).sort().values
        assert torch.equal(kinds[mask.bool()].nonzero().flatten(), seen)
    assert [len(grids(layout)) for layout in layouts] == [5, 1, 0]


@pytest.mark.parametrize("prompt", [STILLS, FILM], ids=["pictures", "film"])
def test_a_prompt_is_what_the_librarys_processor_writes(prompt: Prompt) -> None:
    """A film, which is given as a picture of many rows, makes the same of the model."""
    loaded: Any = tiny_model("molmo2", "sdpa")
    own = loaded.encode([prompt])
    theirs = loaded.processor(
        text=[question(loaded.processor, prompt)],
        images=prompt.images or None,
        videos=prompt.videos or None,
        video_metadata=prompt.clocks or None,
        do_sample_frames=False,
        return_tensors="pt",
    )
    for name in ("input_ids", "mm_token_type_ids"):
        assert torch.equal(own[name], torch.as_tensor(theirs[name]))
    with torch.no_grad(), attach(loaded.model, NoReduction()) as trace:
        mine, lies = loaded.model(**own).logits, grids(trace.prompts[0].layout)
        assert torch.equal(mine, loaded.model(**theirs).logits)
    assert grids(trace.prompts[0].layout) == lies


def test_beams_take_away_what_one_sequence_does() -> None:
    loaded: Any = tiny_model("molmo2", "sdpa")
    inputs, kept = loaded.encode([mixed_prompt(), video_prompt(2)]), []
    with torch.no_grad(), attach(loaded.model, RandomDrop(ratio=0.5), keys=["a", "b"]) as trace:
        for beams in (1, 2):
            loaded.model.generate(**inputs, max_new_tokens=2, pad_token_id=0, num_beams=beams)
            kept.append([one.visual_per_layer for one in trace.prompts[::beams]])
    assert kept[0] == kept[1] and 0 < kept[0][1][0] < 18


def test_placeholders_that_do_not_fit_are_refused() -> None:
    loaded: Any = tiny_model("molmo2", "sdpa")
    inputs = loaded.encode([STILLS])
    ids = inputs["input_ids"][0]
    cut = int((ids == loaded.model.config.image_token_id).nonzero()[-1])
    with pytest.raises(WinnowError, match="placeholder tokens do not fit"):
        loaded.family.layouts(loaded.model.model, [torch.cat([ids[:cut], ids[cut + 1 :]])], inputs)
    with pytest.raises(WinnowError, match="placeholder tokens do not fit"):
        loaded.family.layouts(loaded.model.model, [ids], {})


def test_layers_of_another_kind_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: Any = tiny_model("molmo2", "sdpa")
    monkeypatch.setattr(loaded.model.config.text_config, "norm_after", True)
    with pytest.raises(UnsupportedError, match="Molmo2-O"), attach(loaded.model, NoReduction()):
        pass


def test_flash_attention_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the versions that have the model, 5.23 runs it one way."""
    loaded: Any = tiny_model("molmo2", "sdpa")
    monkeypatch.setattr(loaded.model.config.text_config, "_attn_implementation", "flash_attention_2")
    with pytest.raises(UnsupportedError, match="both ways: choose sdpa"), attach(loaded.model, NoReduction()):
        pass


def test_later_turns_bring_new_films() -> None:
    """Two frames of 7 x 7 patches come first where all turns are one prompt; tokens pool up to 3 x 3 of them."""
    loaded: Any = tiny_model("molmo2", "sdpa")
    turns = [video_prompt(2), text_prompt("and then ?"), video_prompt(3)]
    told, inputs, answer, logits = joined(loaded, RandomDrop(ratio=0.3), turns)
    later = inputs["image_token_pooling"][2 * 9 :]
    later[later >= 0] += 2 * 49
    assert told[0].shares[2] < 0.5 and told[2].shares[2] < 0.5
    assert oracle_gap(loaded, inputs, answer, told, logits) < 2e-4
