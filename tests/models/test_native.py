"""Video-LLaVA, LLaVA-NeXT-Video, InternVL3, and the token counts of the shipped models at full scale."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from calling import joined, oracle_gap
from PIL import Image

from winnow import configs
from winnow.models.check.cases import image_prompt, mixed_prompt, text_prompt, tiny_model, video_prompt
from winnow.models.engine import attach
from winnow.models.families import find_family, minicpmv4_6
from winnow.models.families.prompt import Prompt
from winnow.models.loading.byte_tokenizer import byte_tokenizer
from winnow.models.loading.load import load
from winnow.models.loading.random_weights import random_config
from winnow.models.loading.spec import ModelSpec
from winnow.reducers.core.errors import UnsupportedError, WinnowError
from winnow.reducers.evit import EViT
from winnow.reducers.fastv import FastV
from winnow.reducers.none import NoReduction
from winnow.reducers.random import RandomDrop
from winnow.reducers.tome_tower import ToMeTower
from winnow.reducers.vtw import VTW

FAMILIES = ["gemma3", "internvl", "llava_next_video", "smolvlm", "video_llava"]
alike = pytest.mark.skipif(minicpmv4_6.ALIKE, reason="this version takes views of one size alone")
GRIDS = {
    "gemma3": [(4, 3, 3)],
    "internvl": [(1, 3, 3)] * 14 + [(2, 3, 3)],
    "llava_next_video": [(1, 6, 6), (1, 8, 12)] * 2 + [(2, 3, 3)],
    "smolvlm": [(1, 3, 3)] * 26 + [(2, 3, 3)],
    "video_llava": [(2, 5, 5), (2, 5, 5)],
}
"""Of two images, 60 x 40 pixels, and two frames of video, at test size."""


def grids(layout: Any) -> list[tuple[int, int, int]]:
    return [(span.frames, span.rows, span.cols) for span in layout.spans]


def spec(model: str, device: str = "cpu") -> ModelSpec:
    entry = yaml.safe_load((configs.FOLDER / "model" / f"{model}.yaml").read_text())
    return ModelSpec(entry["family"], "", "random", device=device, arch=entry["arch"])


@pytest.mark.parametrize(
    ("model", "frames", "span", "separators"),
    [
        ("llava15", 1, (1, 24, 24), 0),
        ("llava15_13b", 1, (1, 24, 24), 0),
        ("llava_ov", 32, (32, 14, 14), 1),
        ("video_llava", 8, (8, 16, 16), 8),
        ("llava_next_video", 16, (16, 12, 12), 0),
        ("internvl3", 12, (12, 16, 16), 11 * 11 + 3),
        ("internvl3_5", 12, (12, 16, 16), 11 * 11 + 3),
        ("qwen2_vl", 32, (16, 16, 16), 0),
        ("smolvlm2_2b", 12, (12, 9, 9), 11 * 21),
        ("smolvlm2_500m", 12, (12, 8, 8), 11 * 21),
        ("perception_lm_1b", 32, (32, 16, 16), 0),
    ],
)
def test_tokens_of_a_video_at_full_scale(model: str, frames: int, span: tuple[int, int, int], separators: int) -> None:
    """The processor of the real configuration writes as many placeholders as the layout finds in it, and no other."""
    asked = spec(model)
    family = find_family(asked.family)
    config: Any = random_config(family, asked)
    processor = family.processor(config, byte_tokenizer())
    size = 448 if model == "qwen2_vl" else 60
    inputs = family.encode(processor, [Prompt("what ?", videos=[np.zeros((frames, size, size, 3), np.uint8)])])
    ids = inputs["input_ids"][0]
    (layout,) = family.layouts(SimpleNamespace(config=config), [ids], inputs)
    assert grids(layout) == [span]
    assert len(layout.separators) == separators
    token = config.image_token_id if asked.family in ("llava", "internvl", "smolvlm") else config.video_token_id
    placeholders = (ids == token).nonzero().flatten()
    held = torch.cat([layout.visual, layout.separators]).sort().values
    assert set(placeholders.tolist()) <= set(held.tolist())
    assert torch.equal(ids[layout.visual], torch.full_like(layout.visual, token))


@pytest.mark.parametrize(
    ("model", "small", "large"),
    [
        ("llava_next", 576 + 24 * 24, 576 + 28 * 48),
        ("internvl3", 256, 9 * 256),
        ("qwen2_5_vl", 2 * 2, 12 * 21),
        ("qwen3_vl", 2 * 2, 10 * 18),
        ("glm4v_9b", 2 * 2, 12 * 21),
        ("video_llama3", 5 * 5, 24 * 42),
        ("gemma4_31b", 16 * 16, 12 * 22),
        ("perception_lm_1b", 37 * 256, 33 * 256),
        pytest.param("llava_ov", 729 + 27 * 27, 729 + 60 * 108, marks=pytest.mark.full),
        pytest.param("minicpmv4_6", 64, 66 + 8 * 64, marks=[pytest.mark.full, alike]),
    ],
)
def test_tokens_of_a_small_picture_and_of_a_large_one(model: str, small: int, large: int) -> None:
    """Of 64 x 64 and of 1920 x 1080 pixels: some families make more of a small one, PerceptionLM the most."""
    entry, asked = yaml.safe_load((configs.FOLDER / "model" / f"{model}.yaml").read_text()), spec(model)
    family = find_family(asked.family)
    config: Any = random_config(family, asked)
    processor = family.processor(config, byte_tokenizer())
    if family.any_size:
        family.cap(processor, entry["max_pixels"], 1)
    found = []
    for size in ((64, 64), (1920, 1080)):
        inputs = family.encode(processor, [Prompt("what ?", images=[Image.new("RGB", size)])])
        (layout,) = family.layouts(SimpleNamespace(config=config), list(inputs["input_ids"]), inputs)
        found.append(len(layout.visual))
    assert found == [small, large]


@pytest.mark.parametrize(
    ("model", "billions"),
    [("llava15_13b", 13.35), ("video_llava", 7.37), ("llava_next_video", 7.06), ("internvl3", 7.94)],
)
def test_parameters_are_those_that_the_hub_counts(model: str, billions: float) -> None:
    loaded: Any = load(spec(model, "meta"))
    assert sum(p.numel() for p in loaded.model.parameters()) / 1e9 == pytest.approx(billions, abs=0.005)


@pytest.mark.parametrize("family", FAMILIES)
def test_layouts_in_scoring_generation_and_beams(family: str) -> None:
    loaded: Any = tiny_model(family, "sdpa")
    inputs = loaded.family.encode(loaded.processor, [mixed_prompt(), video_prompt(2)])
    expected = [GRIDS[family], [(2, *GRIDS[family][-1][1:])]]
    with torch.no_grad(), attach(loaded.model, NoReduction()) as trace:
        for call in (loaded.model, loaded.model.generate):
            call(**inputs, **({} if call is loaded.model else {"max_new_tokens": 1, "pad_token_id": 0}))
            assert [grids(told.layout) for told in trace.prompts] == expected
        loaded.model.generate(**inputs, max_new_tokens=1, pad_token_id=0, num_beams=2)
        assert [grids(told.layout) for told in trace.prompts[::2]] == expected


@pytest.mark.parametrize("method", [FastV(ratio=0.25), RandomDrop(ratio=0.3)], ids=["layer", "entrance"])
@pytest.mark.parametrize(("family", "numbered"), [("gemma3", 0), ("gemma4", 0), ("glm4v", 3), ("smolvlm", 0)])
def test_later_turns_bring_new_pictures(family: str, numbered: int, method: Any) -> None:
    loaded: Any = tiny_model(family, "sdpa")
    turns = [video_prompt(2), text_prompt("and then ?"), image_prompt()]
    told, inputs, answer, logits = joined(loaded, method, turns, number=numbered)
    assert min(told[0].shares[2], told[2].shares[2]) < 0.5
    assert oracle_gap(loaded, inputs, answer, told, logits) < 2e-4


def test_a_frames_cls_is_a_separator_that_no_method_drops() -> None:
    loaded: Any = tiny_model("video_llava", "sdpa")
    inputs = loaded.family.encode(loaded.processor, [video_prompt(4)])
    with torch.no_grad(), attach(loaded.model, VTW(schedule=None, ratio=0.5)) as trace:
        loaded.model(**inputs)
    (told,) = trace.prompts
    ids = inputs["input_ids"][0]
    assert int((ids == loaded.model.config.video_token_id).sum()) == 4 * 26
    assert told.layout.separators.tolist() == [int(told.layout.visual[0]) - 1 + 26 * frame for frame in range(4)]
    assert told.visual_per_layer[-1] == 0
    assert told.tokens_per_layer[-1] == len(ids) - 100


def test_two_towers_serve_beams_and_prompts_without_pictures() -> None:
    """A method in the tower meets images and videos, then twice as many sequences as pictures, then no picture."""
    loaded: Any = tiny_model("video_llava", "sdpa")
    encode, generate = loaded.family.encode, loaded.model.generate
    inputs = encode(loaded.processor, [mixed_prompt(), video_prompt(2)])
    with torch.no_grad(), attach(loaded.model, EViT(ratio=0.2)) as trace:
        alone = generate(**inputs, max_new_tokens=2, pad_token_id=0)
        single = [told.visual_per_layer for told in trace.prompts]
        beams = generate(**inputs, max_new_tokens=2, pad_token_id=0, num_beams=2, num_return_sequences=2)
        assert [told.visual_per_layer for told in trace.prompts[::2]] == single
        assert [counts[0] for counts in single] == [20, 10]
        generate(**encode(loaded.processor, [text_prompt()]), max_new_tokens=2, pad_token_id=0)
    assert len(beams) == 2 * len(alone)


@pytest.mark.parametrize("family", ["llava_next_video", "llava_onevision"])
def test_a_pooled_frame_has_no_slot_for_more_vectors(family: str) -> None:
    loaded: Any = tiny_model(family, "sdpa")
    inputs = loaded.family.encode(loaded.processor, [video_prompt(2)])
    with (
        torch.no_grad(),
        pytest.raises(UnsupportedError, match="the pooled frame has only 9 slots"),
        attach(loaded.model, ToMeTower(r=1)),
    ):
        loaded.model(**inputs)


IMAGE, START, END, FEED, FRAME, COLON, SPACE, ONE = 7, 8, 9, 10, 11, 12, 13, 20


def frame(label: list[int], tiles: int = 1) -> list[int]:
    return [*label, START, *[IMAGE] * 4 * tiles, END, FEED]


def labelled(number: int) -> list[int]:
    """``Frame12: ``, a token for each digit."""
    return [FRAME, *(ONE + int(digit) for digit in str(number)), COLON, SPACE]


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([frame([]), frame([])], [(1, 2, 2)] * 2),
        ([frame([], 3)], [(1, 2, 2)] * 3),
        ([frame([]), *(frame(labelled(n)) for n in (1, 2))], [(1, 2, 2), (2, 2, 2)]),
        ([frame(labelled(n)) for n in range(1, 13)], [(12, 2, 2)]),
        ([frame(labelled(n)) for n in (1, 2, 3)] + [frame([]), frame([], 2)], [(3, 2, 2)] + [(1, 2, 2)] * 3),
        ([frame(labelled(1)), frame([30, 31, COLON, SPACE])], [(1, 2, 2)] * 2),
    ],
    ids=["images", "tiles", "image-video", "twelve", "video-images", "other-text"],
)
def test_internvl_tells_videos_by_their_labels(parts: list[list[int]], expected: list[tuple[int, int, int]]) -> None:
    """With whole words as tokens, as its own tokenizer has them; the other tests use bytes."""
    ids = torch.tensor([1, 2, FEED, *(token for part in parts for token in part), 40, 41])
    vision = SimpleNamespace(image_size=(8, 8), patch_size=(2, 2))
    outer: Any = SimpleNamespace(
        config=SimpleNamespace(vision_config=vision, downsample_ratio=0.5, image_token_id=IMAGE)
    )
    (layout,) = find_family("internvl").layouts(outer, [ids], {})
    assert grids(layout) == expected
    assert int((ids == IMAGE).sum()) == len(layout.visual)
    assert torch.equal(ids[layout.visual].unique(), torch.tensor([IMAGE]))
    assert len(layout.separators) == 0 or IMAGE not in ids[layout.separators]


@pytest.mark.parametrize("family", FAMILIES)
def test_placeholders_that_do_not_fit_are_refused(family: str) -> None:
    loaded: Any = tiny_model(family, "sdpa")
    inputs = loaded.family.encode(loaded.processor, [Prompt("?", images=[Image.new("RGB", (30, 30))])])
    ids = inputs["input_ids"][0]
    cut = int((ids == loaded.model.config.image_token_id).nonzero()[-1])
    with pytest.raises(WinnowError, match="tokens"):
        loaded.family.layouts(loaded.model.model, [torch.cat([ids[:cut], ids[cut + 1 :]])], inputs)
