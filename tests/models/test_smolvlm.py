"""SmolVLM2: tiles that small pictures grow, and frames that are told from them by the marks in front."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from winnow import configs
from winnow.models.check.cases import image_prompt, tiny_model, video_prompt
from winnow.models.families import find_family
from winnow.models.families.llava import question
from winnow.models.families.prompt import Prompt
from winnow.models.loading.byte_tokenizer import byte_tokenizer
from winnow.models.loading.random_weights import random_config
from winnow.models.loading.spec import ModelSpec
from winnow.reducers.core.errors import WinnowError


def laid(name: str, size: tuple[int, int]) -> list[tuple[int, int, int, int]]:
    """Frames, rows, columns and view of the spans of a picture, width x height, at full scale."""
    entry = yaml.safe_load((configs.FOLDER / "model" / f"{name}.yaml").read_text())
    family = find_family(entry["family"])
    config: Any = random_config(family, ModelSpec(entry["family"], "", "random", arch=entry["arch"]))
    image = Image.fromarray(np.zeros((*size[::-1], 3), np.uint8))
    inputs = family.encode(family.processor(config, byte_tokenizer()), [Prompt("what ?", images=[image])])
    (layout,) = family.layouts(SimpleNamespace(config=config), [inputs["input_ids"][0]], inputs)
    assert int((inputs["input_ids"] == config.image_token_id).sum()) == len(layout.visual)
    return [(span.frames, span.rows, span.cols, span.view) for span in layout.spans]


@pytest.mark.parametrize(
    ("name", "side", "size", "tiles"),
    [
        ("smolvlm2_2b", 9, (64, 64), 17),
        ("smolvlm2_2b", 9, (1920, 1080), 13),
        ("smolvlm2_2b", 9, (200, 1000), 5),
        ("smolvlm2_500m", 8, (64, 64), 17),
    ],
)
def test_small_pictures_grow_to_as_many_tiles(name: str, side: int, size: tuple[int, int], tiles: int) -> None:
    assert laid(name, size) == [(1, side, side, view) for view in range(tiles)]


@pytest.mark.parametrize("prompt", [image_prompt(), video_prompt(3)], ids=["image", "video"])
def test_alone_a_picture_or_video_is_prepared_as_by_the_processor(prompt: Prompt) -> None:
    """Text, ids and pixels are those of the processor's own call, which takes one kind at a time."""
    loaded: Any = tiny_model("smolvlm", "sdpa")
    own = loaded.family.encode(loaded.processor, [prompt])
    told = {"video_metadata": [prompt.clocks], "do_sample_frames": False} if prompt.videos else {}
    media = {"videos": [prompt.videos], **told} if prompt.videos else {"images": [prompt.images]}
    theirs = loaded.processor(text=[question(loaded.processor, prompt)], return_tensors="pt", **media)
    assert torch.equal(own["input_ids"], theirs["input_ids"])
    assert torch.equal(own["pixel_values"], theirs["pixel_values"])
    assert bool(theirs["pixel_attention_mask"].all())


def test_the_time_of_each_frame_is_written() -> None:
    loaded: Any = tiny_model("smolvlm", "sdpa")
    prompt = Prompt("when ?", videos=video_prompt(3).videos, rates=[0.02])
    (text,) = loaded.processor.batch_decode(loaded.family.encode(loaded.processor, [prompt])["input_ids"])
    assert "series of three frames from a 0:02:30 [H:MM:SS] video." in text
    assert [text.count(f"Frame from {time}:") for time in ("00:00", "00:50", "01:40")] == [1, 1, 1]


IMAGE, FAKE, WHOLE, FEED, FRAME, COLON, YOU, DOT, DIGIT, ROW = 7, 8, 9, 10, 11, 12, 13, 14, 20, 40


def tiles(number: int) -> list[int]:
    """A picture in one row of tiles, then whole, as SmolLM2's tokenizer writes it."""
    row = [token for tile in range(number) for token in (FAKE, ROW + tile, *[IMAGE] * 4)]
    return [*row, FEED, FEED, FAKE, WHOLE, *[IMAGE] * 4, FAKE]


def film(frames: int) -> list[int]:
    label = [[FEED, FRAME, DIGIT, DIGIT + frame, COLON, FAKE, WHOLE, *[IMAGE] * 4, FAKE] for frame in range(frames)]
    return [YOU, DIGIT + frames, DOT, FEED, *(token for part in label for token in part), FEED, FEED]


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([tiles(2)], [1, 1, 1]),
        ([tiles(2), tiles(3)], [1] * 7),
        ([film(1)], [1]),
        ([film(3)], [3]),
        ([film(2), film(2), film(2)], [2, 2, 2]),
        ([tiles(1), film(4), tiles(1)], [1, 1, 4, 1, 1]),
        ([[FAKE, WHOLE, *[IMAGE] * 4, FAKE]] * 2, [1, 1]),
    ],
    ids=["picture", "pictures", "frame", "film", "films", "both", "unsplit"],
)
def test_pictures_and_films_are_told_apart(parts: list[list[int]], expected: list[int]) -> None:
    """With whole words as tokens; the other tests use bytes."""
    ids = torch.tensor([1, 2, COLON, *(token for part in parts for token in part), 60, 61])
    vision = SimpleNamespace(image_size=8, patch_size=2)
    outer: Any = SimpleNamespace(config=SimpleNamespace(vision_config=vision, scale_factor=2, image_token_id=IMAGE))
    (layout,) = find_family("smolvlm").layouts(outer, [ids], {})
    assert [span.frames for span in layout.spans] == expected
    assert torch.equal(layout.visual, (ids == IMAGE).nonzero().flatten())


def test_a_placeholder_in_a_question_is_refused() -> None:
    loaded: Any = tiny_model("smolvlm", "sdpa")
    with pytest.raises(WinnowError, match="the prompt says <image> 2 times for 1 pictures"):
        loaded.family.encode(loaded.processor, [image_prompt("what is <image> ?")])
