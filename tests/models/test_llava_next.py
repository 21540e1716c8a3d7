"""LLaVA-NeXT: tiles without their padding, as transformers packs them, and methods in the tower."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from torch import Tensor
from transformers.models.llava_next.modeling_llava_next import LlavaNextModel, image_size_to_num_patches

from winnow import configs
from winnow.models.check.cases import image_prompt, tiny_model
from winnow.models.engine import attach
from winnow.models.families import find_family
from winnow.models.families.prompt import Prompt
from winnow.models.loading.byte_tokenizer import byte_tokenizer
from winnow.models.loading.random_weights import random_config
from winnow.models.loading.spec import ModelSpec
from winnow.reducers.prumerge import PruMerge
from winnow.reducers.visionzip import VisionZip

SIDE = 24
MODELS = ["llava_next", "llava_next_13b", "llava16_mistral"]
SIZES = {  # width x height of a picture: rows and columns of its tiles without padding
    (672, 672): (48, 48),
    (640, 480): (36, 48),
    (480, 640): (48, 36),
    (1920, 1080): (28, 48),
    (1000, 300): (22, 72),
    (200, 800): (72, 18),
    (64, 64): (24, 24),
    (336, 330): (24, 24),
    (337, 337): (48, 48),
}


def laid(model: str, sizes: list[tuple[int, int]]) -> tuple[Any, Tensor, Any]:
    """Configuration, ids and layout of a prompt with pictures, at full scale."""
    entry = yaml.safe_load((configs.FOLDER / "model" / f"{model}.yaml").read_text())
    family = find_family(entry["family"])
    config: Any = random_config(family, ModelSpec(entry["family"], "", "random", arch=entry["arch"]))
    processor = family.processor(config, byte_tokenizer())
    images = [Image.fromarray(np.zeros((height, width, 3), np.uint8)) for width, height in sizes]
    inputs = family.encode(processor, [Prompt("what ?", images=images)])
    (layout,) = family.layouts(SimpleNamespace(config=config), [inputs["input_ids"][0]], inputs)
    return config, inputs["input_ids"][0], layout


@pytest.mark.parametrize(
    ("model", "size"), [("llava_next", size) for size in SIZES] + [(model, (672, 672)) for model in MODELS[1:]]
)
def test_tokens_of_a_picture_at_full_scale(model: str, size: tuple[int, int]) -> None:
    """The processor of the real configuration writes as many placeholders as the layout finds, and no other."""
    config, ids, layout = laid(model, [size])
    base, tiles = layout.spans
    assert (base.rows, base.cols, base.view) == (SIDE, SIDE, 0)
    assert (tiles.rows, tiles.cols, tiles.view) == (*SIZES[size], 1)
    assert len(layout.separators) == tiles.rows
    held = torch.cat([layout.visual, layout.separators]).sort().values
    assert torch.equal((ids == config.image_token_index).nonzero().flatten(), held)


def test_a_square_picture_has_2880_tokens() -> None:
    assert len(laid("llava_next", [(672, 672)])[2].visual) == 2880
    assert len(laid("llava_next", [(672, 672), (64, 64)])[2].visual) == 2880 + 1152


@pytest.mark.parametrize("size", SIZES)
def test_patches_stand_where_transformers_packs_them(size: tuple[int, int]) -> None:
    """Its own packing, of features that are numbers, tells the place of each patch of each tile."""
    config, _, layout = laid("llava_next", [size])
    height_width = torch.tensor([size[::-1]])
    views = image_size_to_num_patches(height_width[0], config.image_grid_pinpoints, 336)
    numbers = torch.arange(views * SIDE**2, dtype=torch.float32).view(1, views, SIDE**2, 1)
    outer: Any = SimpleNamespace(config=config)
    (packed,), _ = LlavaNextModel.pack_image_features(outer, numbers, height_width, "default", torch.tensor([-1.0]))
    first = int(layout.visual[0])
    frames = torch.cat([span.cells for span in layout.spans])
    places = [span.positions[cells.clamp(min=0)] for span in layout.spans for cells in span.cells]
    assert len(frames) == views
    for own, cells, positions in zip(numbers[0, :, :, 0], frames, places, strict=True):
        assert torch.equal(packed[positions[cells >= 0] - first, 0], own[cells >= 0])
    assert int((frames >= 0).sum()) == len(layout.visual)


def test_a_method_in_the_tower_keeps_as_many_of_each_tile() -> None:
    """What stands in the padding of a tile goes with it; the trace knows who was merged into whom."""
    loaded: Any = tiny_model("llava_next", "sdpa")
    inputs = loaded.family.encode(loaded.processor, [image_prompt()])
    with torch.no_grad(), attach(loaded.model, VisionZip(ratio=0.25)) as trace:
        loaded.model(**inputs)
    (told,), (frames,) = trace.prompts, trace.frames.values()
    kept = torch.cat([span.positions for span in told.layout.spans])[told.last_layer >= 0]
    held = [
        span.positions[cells[index][cells[index] >= 0]]
        for (span, cells), index in zip(
            ((span, cells) for span in told.layout.spans for cells in span.cells), frames.index, strict=True
        )
    ]
    assert {len(index) for index in frames.index} == {9}
    assert torch.equal(torch.cat(held).sort().values, kept)
    assert len(kept) < 9 * len(frames.index)


def test_merged_patches_of_a_tile_are_told() -> None:
    loaded: Any = tiny_model("llava_next", "sdpa")
    inputs = loaded.family.encode(loaded.processor, [image_prompt()])
    with torch.no_grad(), attach(loaded.model, PruMerge(ratio=0.25)) as trace:
        loaded.model(**inputs)
    (told,), (frames,) = trace.prompts, trace.frames.values()
    base = told.layout.spans[0]
    assert torch.equal(told.anchor[: len(base)], frames.anchor[0])
    tiles, offset = told.layout.spans[1], len(base)
    for cells, anchor in zip(tiles.cells, frames.anchor[1:], strict=True):
        for patch, cell in enumerate(cells.tolist()):
            into = int(cells[anchor[patch]])
            if cell >= 0:
                assert int(told.anchor[offset + cell]) == offset + (into if into >= 0 else cell)
