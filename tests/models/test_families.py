"""Token layouts of the families, and loading."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from winnow.models.check.cases import ARCH, text_prompt, tiny_model, video_prompt
from winnow.models.engine import attach
from winnow.models.families import SINCE, find_family
from winnow.models.families.prompt import Prompt
from winnow.models.loading.load import load
from winnow.models.loading.pretrained import locate
from winnow.models.loading.spec import ModelSpec
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.fastv import FastV
from winnow.reducers.none import NoReduction

QWEN2_7B = {
    "llm": "qwen2", "layers": 28, "hidden": 3584, "heads": 28, "kv_heads": 4, "mlp": 18944, "vocab": 152064,
    "tied": False, "vision": {"layers": 26, "hidden": 1152, "heads": 16, "mlp": 4304, "image": 384, "patch": 14},
}  # fmt: skip
QWEN2_05B = QWEN2_7B | {
    "layers": 24, "hidden": 896, "heads": 14, "kv_heads": 2, "mlp": 4864, "vocab": 151936, "tied": True
}  # fmt: skip


def layout_of(family: str, prompt: Prompt) -> Any:
    loaded: Any = tiny_model(family, "sdpa")
    with torch.no_grad(), attach(loaded.model, NoReduction()) as trace:
        loaded.model(**loaded.family.encode(loaded.processor, [prompt]))
    return trace.prompts[0].layout


def image(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def grids(layout: Any) -> list[tuple[int, int, int]]:
    return [(span.frames, span.rows, span.cols) for span in layout.spans]


def test_llava_frames_in_a_row_are_one_video() -> None:
    layout = layout_of("llava", video_prompt(4))
    assert grids(layout) == [(4, 5, 5)]
    assert torch.equal(torch.diff(layout.visual), torch.ones(99, dtype=torch.long))


def test_onevision_video_is_pooled_and_closed_by_a_newline() -> None:
    layout = layout_of("llava_onevision", video_prompt(4))
    assert grids(layout) == [(4, 3, 3)]
    assert layout.separators.tolist() == [int(layout.visual[-1]) + 1]
    assert int(layout.question[0]) == int(layout.visual[-1]) + 2


@pytest.mark.parametrize("size", [(60, 40), (40, 60), (100, 20), (20, 20), (61, 43), (300, 290)])
@pytest.mark.parametrize("family", ["llava_onevision", "llava_next", "llava_next_video"])
def test_the_grid_of_tiles_matches_the_model(family: str, size: tuple[int, int]) -> None:
    """Both ways of finding the grid, from image sizes and from encoded features, find the model's newlines."""
    loaded: Any = tiny_model(family, "sdpa")
    inputs = loaded.family.encode(loaded.processor, [Prompt("what ?", images=[image(*size)])])
    with torch.no_grad(), attach(loaded.model, NoReduction()) as trace:
        loaded.model(**inputs)
        direct = trace.prompts[0].layout
        loaded.model.generate(**inputs, max_new_tokens=1, pad_token_id=0)
        encoded = trace.prompts[0].layout
        features = loaded.model.model.get_image_features(inputs["pixel_values"], inputs["image_sizes"]).pooler_output[0]
    newlines = (features == loaded.model.model.image_newline).all(-1).nonzero().flatten() + direct.visual[0]
    assert torch.equal(direct.separators, newlines)
    assert torch.equal(direct.visual, encoded.visual)
    assert grids(direct) == grids(encoded)
    assert len(direct.visual) + len(newlines) == len(features)


def test_several_pictures_in_one_prompt() -> None:
    prompt = Prompt("what ?", images=[image(30, 30), image(60, 20)], videos=video_prompt(2).videos)
    layout = layout_of("llava_onevision", prompt)
    assert grids(layout) == [(1, 5, 5), (1, 5, 5), (2, 3, 3)]
    assert len(layout.separators) == 3
    assert grids(layout_of("llava", prompt)) == [(4, 5, 5)]


def test_text_has_no_spans() -> None:
    assert layout_of("llava", text_prompt()).spans == ()


@pytest.mark.parametrize(("frames", "tokens"), [(32, 6272), (192, 37632)])
def test_token_counts_of_llava_onevision_7b(frames: int, tokens: int) -> None:
    loaded: Any = load(ModelSpec("llava_onevision", "", "random", dtype="bfloat16", device="meta", arch=QWEN2_7B))
    assert 7.9e9 < sum(p.numel() for p in loaded.model.parameters()) < 8.1e9
    ids = torch.full((frames * 196 + 1,), loaded.model.config.video_token_id)
    pixels = torch.empty(1, frames, 3, 384, 384, device="meta")
    layout = loaded.family.layouts(loaded.model.model, [ids], {"pixel_values_videos": pixels})[0]
    assert grids(layout) == [(frames, 14, 14)]
    assert len(layout.visual) == tokens
    assert layout.separators.tolist() == [tokens]


@pytest.mark.full
def test_half_a_billion_parameters_run_here() -> None:
    arch = QWEN2_05B | {"vision": QWEN2_05B["vision"] | {"layers": 1}}  # type: ignore[operator]
    loaded: Any = load(ModelSpec("llava_onevision", "", "random", dtype="bfloat16", device="cpu", arch=arch))
    inputs = loaded.family.encode(loaded.processor, [Prompt("what ?", videos=[np.zeros((2, 384, 384, 3), np.uint8)])])
    with torch.no_grad(), attach(loaded.model, FastV(ratio=0.25)) as trace:
        loaded.model(**inputs.to(torch.bfloat16))
    assert trace.prompts[0].visual_per_layer == [392] * 2 + [98] * 22


def test_weights_that_do_not_fit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("winnow.models.loading.random_weights.free_bytes", lambda device: 10**9)
    with pytest.raises(WinnowError, match=r"needs 32\.\d GB .* use model.scale=tiny"):
        load(ModelSpec("llava_onevision", "", "random", device="cpu", arch=QWEN2_7B))


def test_an_unreachable_hub_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(WinnowError, match=r"hf download no-one/nothing.*model.weights=random"):
        load(ModelSpec("llava", "no-one/nothing"))


def test_a_checkpoint_of_another_family_is_named(tmp_path: Path) -> None:
    tiny_model("llava", "sdpa").model.save_pretrained(tmp_path)  # type: ignore[operator]
    with pytest.raises(WinnowError, match="holds a model of type 'llava', but family 'llava_onevision'"):
        load(ModelSpec("llava_onevision", str(tmp_path)))


@pytest.mark.parametrize(
    "family",
    [
        "gemma3",
        "glm4v",
        "internvl",
        "llava",
        "llava_next_video",
        "llava_onevision",
        "perception_lm",
        "smolvlm",
        "video_llava",
    ],
)
def test_a_saved_checkpoint_answers_as_before(family: str, tmp_path: Path) -> None:
    made: Any = tiny_model(family, "sdpa")
    made.model.save_pretrained(tmp_path)
    made.processor.save_pretrained(tmp_path)
    again: Any = load(ModelSpec(family, str(tmp_path), device="cpu"))
    for prompt in (video_prompt(), text_prompt()):
        before, after = (x.model(**x.family.encode(x.processor, [prompt])).logits for x in (made, again))
        assert torch.equal(before, after)


@pytest.mark.parametrize("family", ["gemma3", "gemma4", "internvl"])
def test_no_random_matrix_has_one_value(family: str) -> None:
    """In transformers 5.23 some begin so: Gemma 3's projector as zeros, by which it would see nothing in a picture."""
    matrices = [weight for weight in tiny_model(family, "sdpa").model.parameters() if weight.ndim > 1]
    assert matrices and not [weight.shape for weight in matrices if bool((weight == weight.flatten()[0]).all())]


@pytest.mark.parametrize(("field", "value"), [("dtype", "int3"), ("family", "gpt")])
def test_unknown_choices_are_listed(field: str, value: str) -> None:
    with pytest.raises(WinnowError, match=rf"'?{value}'? is not known: choose"):
        load(ModelSpec(**({"family": "llava", "repo": "x", "arch": ARCH} | {field: value})))  # type: ignore[arg-type]


def test_packaged_weights_are_found() -> None:
    assert Path(locate("package://winnow/models/pico/weights")).parts[-3:] == ("models", "pico", "weights")
    with pytest.raises(WinnowError, match="names no installed package"):
        locate("package://no_such_package/weights")


def test_a_family_that_the_installed_transformers_lacks_names_the_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SINCE, "llava", "99.1")
    with pytest.raises(WinnowError, match=r"'llava' needs transformers>=99\.1, and 5\.[\d.]+ is installed"):
        find_family("llava")
