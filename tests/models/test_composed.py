"""Composed models: token counts at full scale, pooling, joining, repeated frames, and saving."""

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor, nn

from winnow import configs
from winnow.models.check import INVARIANTS, Case
from winnow.models.check.cases import ARCH, BATCHES, image_prompt, tiny_model, video_prompt
from winnow.models.composed.model import ComposedModel, join
from winnow.models.engine import attach
from winnow.models.families import find_family
from winnow.models.families.prompt import Prompt
from winnow.models.loading.byte_tokenizer import byte_tokenizer
from winnow.models.loading.load import load
from winnow.models.loading.spec import ModelSpec
from winnow.reducers.core.base import Reducer
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.fastv import FastV
from winnow.reducers.none import NoReduction
from winnow.reducers.random import RandomDrop

FAMILIES = ["pllava", "vila", "longva", "llava_video"]


class Blank:
    """Stands for an image processor: frames of no content."""

    def __call__(self, frames: list[Any], return_tensors: str) -> dict[str, Tensor]:
        return {"pixel_values": torch.arange(len(frames)).view(-1, 1, 1, 1).expand(-1, 3, 1, 1).float()}


def full(name: str) -> tuple[Any, Any, Any]:
    """Family, configuration and processor of a shipped model, without weights."""
    model = yaml.safe_load((configs.FOLDER / "model" / f"{name}.yaml").read_text())
    family, tokenizer = find_family(model["family"]), byte_tokenizer()
    tokens = {token: tokenizer.convert_tokens_to_ids(token) for token in tokenizer.all_special_tokens}
    config = family.config(model["arch"], tokens)
    processor: Any = family.processor(config, tokenizer)
    processor.image_processor = Blank()
    return family, config, processor


class Outer:
    def __init__(self, config: Any) -> None:
        self.config = config


def layout_at_full_scale(name: str, frames: int) -> Any:
    family, config, processor = full(name)
    batch = family.encode(processor, [Prompt("what ?", videos=[[None] * frames])])  # type: ignore[list-item]
    return family.layouts(Outer(config), list(batch["input_ids"]), batch)[0]


@pytest.mark.parametrize(
    ("name", "frames", "grid", "tokens", "separators"),
    [
        ("pllava", 16, (16, 12, 12), 2304, 0),
        ("pllava", 1, (16, 12, 12), 2304, 0),
        ("vila15_8b", 8, (8, 14, 14), 1568, 7),
        ("vila15_40b", 8, (8, 16, 16), 2048, 7),
        ("longva", 32, (32, 12, 12), 4608, 0),
        ("longva", 128, (128, 12, 12), 18432, 0),
        ("llava_video", 64, (64, 13, 13), 64 * 169, 64 * 13),
    ],
)
def test_token_counts(name: str, frames: int, grid: tuple[int, int, int], tokens: int, separators: int) -> None:
    layout = layout_at_full_scale(name, frames)
    (span,) = layout.spans
    assert (span.frames, span.rows, span.cols) == grid
    assert len(layout.visual) == tokens
    assert len(layout.separators) == separators


def test_newlines_close_the_rows_of_llava_video() -> None:
    layout = layout_at_full_scale("llava_video", 2)
    assert len(layout.visual) + len(layout.separators) == 2 * 182
    assert (torch.diff(layout.separators) == 14).all()


def test_line_breaks_stand_between_the_frames_of_vila() -> None:
    layout = layout_at_full_scale("vila15_8b", 3)
    assert torch.diff(layout.visual).tolist().count(2) == 2
    assert (layout.separators - layout.visual[0]).tolist() == [196, 393]


@pytest.mark.parametrize(
    ("name", "billions"),
    [("pllava", 7.06), ("vila15_8b", 8.49), ("vila15_40b", 40.1), ("longva", 7.94), ("llava_video", 8.03)],
)
def test_parameters_at_full_scale(name: str, billions: float) -> None:
    model = yaml.safe_load((configs.FOLDER / "model" / f"{name}.yaml").read_text())
    spec = ModelSpec(model["family"], "", "random", dtype="bfloat16", device="meta", arch=model["arch"])
    assert sum(p.numel() for p in load(spec).model.parameters()) / 1e9 == pytest.approx(billions, rel=0.01)


def test_pllava_pools_like_the_original() -> None:
    """On 16 frames of 24x24 the adaptive average over time and space is a 2x2 average in each frame."""
    features = torch.randn(16, 24 * 24, 8)
    video = features.view(16, 24, 24, 8).permute(3, 0, 1, 2)[None]
    pooled = nn.AdaptiveAvgPool3d((16, 12, 12))(video)[0].permute(1, 2, 3, 0).flatten(1, 2)
    ours = ComposedModel.apply_pooling(Outer(full("pllava")[1]), features)  # type: ignore[arg-type]
    assert torch.allclose(ours, pooled, atol=1e-6)


def test_llava_video_leaves_the_odd_border_out() -> None:
    features = torch.randn(2, 27 * 27, 4)
    ours = ComposedModel.apply_pooling(Outer(full("llava_video")[1]), features)  # type: ignore[arg-type]
    inner = features.view(2, 27, 27, 4)[:, :26, :26].unflatten(2, (13, 2)).unflatten(1, (13, 2))
    assert torch.allclose(ours, inner.mean((2, 4)).flatten(1, 2), atol=1e-6)


@pytest.mark.parametrize("given", [1, 5, 7, 16])
def test_pllava_repeats_frames_in_place(given: int) -> None:
    family, _, processor = full("pllava")
    batch = family.encode(processor, [Prompt("what ?", videos=[[None] * given])])  # type: ignore[list-item]
    seen = batch["pixel_values"][0, :, 0, 0, 0].tolist()
    times = 1 if given == 16 else 16 // given + 1
    assert seen == [number for number in range(given) for _ in range(times)][:16]


def test_pllava_takes_no_more_than_its_frames() -> None:
    family, _, processor = full("pllava")
    with pytest.raises(WinnowError, match=r"17 frames were given, but this model takes 16: say model.frames=16"):
        family.encode(processor, [Prompt("what ?", videos=[[None] * 17])])  # type: ignore[list-item]


def test_join_goes_down_the_columns() -> None:
    """Vector (c, r) holds patches (2r, 2c), (2r, 2c+1), (2r+1, 2c), (2r+1, 2c+1), zeros beyond the border."""
    side, width = 5, 3
    features = torch.randn(2, side * side, width)
    grid = torch.zeros(2, 6, 6, width)
    grid[:, :5, :5] = features.view(2, side, side, width)
    expected = [
        torch.cat([grid[:, 2 * r + i, 2 * c + j] for i in range(2) for j in range(2)], -1)
        for c in range(3)
        for r in range(3)
    ]
    assert torch.equal(join(features), torch.stack(expected, 1))


@pytest.mark.parametrize("family", FAMILIES)
def test_visual_vectors_stand_in_their_places(family: str) -> None:
    """Tower block, projector, pooling and newline, spelled out, give the embeddings that reach the LLM."""
    loaded: Any = tiny_model(family, "sdpa")
    parts, config = loaded.family.parts(loaded.model), loaded.model.config
    inputs = loaded.family.encode(loaded.processor, [video_prompt(4), image_prompt()])
    caught: list[Tensor] = []
    block = parts.blocks[config.vision_feature_layer]
    with torch.no_grad(), attach(loaded.model, NoReduction()) as trace:
        handles = [
            block.register_forward_hook(lambda m, a, out: caught.append(out)),
            parts.llm.register_forward_pre_hook(lambda m, a, k: caught.append(k["inputs_embeds"]), with_kwargs=True),
        ]
        loaded.model(**inputs)
        for handle in handles:
            handle.remove()
        states, embeds = caught
        vectors = parts.projector(states[:, int(loaded.family.cls) :])
    if config.pool > 1:
        grid = vectors.unflatten(1, (3, 2, 3, 2))
        vectors = grid.mean((2, 4)).flatten(1, 2)
    seen = []
    for row, prompt in zip(embeds, trace.prompts, strict=True):
        own = row[len(row) - prompt.layout.length :]
        seen.append(own[prompt.layout.visual])
        if config.newline:
            assert torch.equal(own[prompt.layout.separators[0]], parts.outer.image_newline)
    assert torch.allclose(torch.cat(seen), vectors.flatten(0, 1), atol=1e-5)


@pytest.mark.parametrize("invariant", ["keep_everything", "oracle", "batch_is_singles", "leaves_no_trace"])
@pytest.mark.parametrize("reducer", [FastV(ratio=0.3), RandomDrop(ratio=0.3)])
def test_invariants_with_an_intern_vit(invariant: str, reducer: Reducer) -> None:
    """VILA1.5-40B's tower, beside SigLIP's in the matrix of all families."""
    arch = ARCH | {"llm": "llama", "vision": {"tower": "internvit"}}
    loaded = load(ModelSpec("vila", "", "random", "tiny", device="cpu", arch=arch))
    INVARIANTS[invariant](Case(loaded, reducer, BATCHES["padded"]))


@pytest.mark.parametrize("family", FAMILIES)
def test_beams_see_the_frames_of_their_own_prompt(family: str) -> None:
    loaded: Any = tiny_model(family, "sdpa")
    options = {"max_new_tokens": 3, "min_new_tokens": 3, "do_sample": False, "pad_token_id": 0}
    prompts = [video_prompt(3), video_prompt(2, "count .")]
    beams = loaded.model.generate(**loaded.family.encode(loaded.processor, prompts), num_beams=2, **options)
    for answer, prompt in zip(beams, prompts, strict=True):
        alone = loaded.model.generate(**loaded.family.encode(loaded.processor, [prompt]), num_beams=2, **options)
        assert torch.equal(answer[-3:], alone[0, -3:])


def test_a_placeholder_in_the_question_is_refused() -> None:
    loaded = tiny_model("longva", "sdpa")
    with pytest.raises(WinnowError, match="2 <image> in the prompt for 1 pictures"):
        loaded.family.encode(loaded.processor, [Prompt("what is <image> ?", images=image_prompt().images)])


@pytest.mark.parametrize("family", FAMILIES)
def test_a_saved_checkpoint_answers_as_before(family: str, tmp_path: Path) -> None:
    made: Any = tiny_model(family, "sdpa")
    made.model.save_pretrained(tmp_path)
    made.processor.save_pretrained(tmp_path)
    again: Any = load(ModelSpec(family, str(tmp_path), device="cpu"))
    inputs = [x.family.encode(x.processor, [video_prompt()]) for x in (made, again)]
    before, after = (x.model(**i).logits for x, i in zip((made, again), inputs, strict=True))
    assert torch.equal(before, after)


def test_a_checkpoint_of_another_composed_family_is_named(tmp_path: Path) -> None:
    made: Any = tiny_model("longva", "sdpa")
    made.model.save_pretrained(tmp_path)
    with pytest.raises(WinnowError, match="holds a model of type 'longva', but family 'pllava'"):
        load(ModelSpec("pllava", str(tmp_path), device="cpu"))
