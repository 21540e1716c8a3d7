"""PerceptionLM: what the processor alone would make, and what `generate` would mix up."""

from typing import Any

import pytest
import torch

from winnow.models.check.cases import image_prompt, text_prompt, tiny_model, video_prompt
from winnow.models.engine import attach
from winnow.models.families.llava import question
from winnow.models.families.prompt import Prompt
from winnow.reducers.core.errors import UnsupportedError, WinnowError
from winnow.reducers.none import NoReduction


@pytest.fixture(scope="module")
def loaded() -> Any:
    return tiny_model("perception_lm", "sdpa")


@pytest.mark.parametrize("prompt", [image_prompt(), video_prompt(3)], ids=["image", "video"])
def test_alone_a_picture_or_video_is_prepared_as_by_the_processor(loaded: Any, prompt: Prompt) -> None:
    own = loaded.family.encode(loaded.processor, [prompt])
    media = {"videos": prompt.videos, "do_sample_frames": False} if prompt.videos else {"images": prompt.images}
    theirs = loaded.processor(text=[question(loaded.processor, prompt)], return_tensors="pt", **media)
    name = "pixel_values_videos" if prompt.videos else "pixel_values"
    assert torch.equal(own["input_ids"], theirs["input_ids"])
    assert torch.equal(own[name].flatten(0, 1), theirs[name].flatten(0, 1))


def test_pictures_of_several_numbers_of_tiles_are_spans_of_their_own(loaded: Any) -> None:
    """Which one call of the processor cannot stack; each tile is a view, the whole picture the first."""
    square = Prompt("how large ?", images=[image_prompt().images[0].resize((30, 30))])
    inputs = loaded.family.encode(loaded.processor, [image_prompt(), square, video_prompt(2), text_prompt()])
    with torch.no_grad(), attach(loaded.model, NoReduction()) as trace:
        loaded.model(**inputs)
    spans = [told.layout.spans for told in trace.prompts]
    assert [len(found) for found in spans] == [36, 37, 1, 0]
    assert [span.view for span in spans[1]] == list(range(37)) and spans[2][0].grid[:2] == (2, 9)


def test_placeholders_that_do_not_fit_are_refused(loaded: Any) -> None:
    ids = loaded.family.encode(loaded.processor, [image_prompt()])["input_ids"][0]
    cut = int((ids == loaded.model.config.image_token_id).nonzero()[-1])
    with pytest.raises(WinnowError, match="323 image tokens are no multiple of the 3x3 of one tile"):
        loaded.family.layouts(loaded.model.model, [torch.cat([ids[:cut], ids[cut + 1 :]])], {})


def test_several_sequences_of_a_film_are_refused(loaded: Any) -> None:
    inputs = loaded.family.encode(loaded.processor, [video_prompt(2)])
    asked = {"max_new_tokens": 1, "pad_token_id": 0, "num_beams": 2}
    with torch.no_grad(), attach(loaded.model, NoReduction()), pytest.raises(UnsupportedError, match="mixes up the"):
        loaded.model.generate(**inputs, **asked)
