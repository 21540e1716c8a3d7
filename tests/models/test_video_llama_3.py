"""VideoLLaMA3: films whose frames are one span, pictures side by side, and pruning of the model's own."""

from typing import Any

import numpy as np
import pytest
import torch
import yaml
from calling import ask, joined, oracle_gap
from PIL import Image

from winnow import configs
from winnow.harness.config.overrides import cell_from
from winnow.harness.plan.build import build_method
from winnow.models.check.cases import ARCH, image_prompt, mixed_prompt, picture, text_prompt, tiny_model, video_prompt
from winnow.models.engine import attach
from winnow.models.families.llava import question
from winnow.models.families.prompt import Prompt
from winnow.models.loading.load import Loaded, load
from winnow.models.loading.spec import ModelSpec
from winnow.models.transformers_api import TAKES_APART
from winnow.reducers.core.errors import UnsupportedError, WinnowError
from winnow.reducers.none import NoReduction
from winnow.reducers.random import RandomDrop


def still(frames: int, size: tuple[int, int]) -> Prompt:
    """A film in which nothing moves."""
    return Prompt("what ?", videos=[np.repeat(picture(3, 1, size), frames, 0)], rates=[1.0])


def tiny(own: bool | None, **more: Any) -> Loaded:
    return load(ModelSpec("video_llama_3", "", "random", "tiny", device="cpu", arch=ARCH, own_pruning=own, **more))


def grids(trace: Any) -> list[list[tuple[int, int, int]]]:
    return [[(s.frames, s.rows, s.cols) for s in told.layout.spans] for told in trace.prompts]


def test_films_and_pictures_lie_as_they_are_shown() -> None:
    """In scoring, generation and beams: two pictures side by side, films of unlike size, and no picture."""
    loaded: Any = tiny_model("video_llama_3", "sdpa")
    films = Prompt("which ?", videos=[picture(2, 4), picture(3, 2)[:, :30]], rates=[1.5, 4.0])
    inputs = loaded.encode([films, mixed_prompt(), text_prompt()])
    expected = [[(4, 5, 8), (2, 4, 8)], [(1, 10, 15), (1, 10, 15), (2, 5, 8)], []]
    with torch.no_grad(), attach(loaded.model, NoReduction()) as trace:
        loaded.model(**inputs)
        assert grids(trace) == expected
        loaded.model.generate(**inputs, max_new_tokens=1, pad_token_id=0)
        assert grids(trace) == expected
        if not TAKES_APART:  # where several pictures of a prompt are refused under beams
            loaded.model.generate(**inputs, max_new_tokens=1, pad_token_id=0, num_beams=2)
            assert grids(trace)[::2] == expected


def test_a_prompt_is_what_the_librarys_processor_writes() -> None:
    loaded: Any = tiny_model("video_llama_3", "sdpa")
    prompt = Prompt("when ?", videos=[picture(2, 3)], images=image_prompt().images, rates=[0.5])
    own = loaded.encode([prompt])
    video: Any = loaded.processor.video_processor
    token = (video.patch_size * video.merge_size) ** 2
    size = {"shortest_edge": token, "longest_edge": 3 * loaded.processor.image_processor.size["longest_edge"]}
    theirs = loaded.processor(
        text=[question(loaded.processor, prompt)],
        images=prompt.images,
        videos=prompt.videos,
        return_tensors="pt",
        videos_kwargs={"size": size, "video_metadata": [prompt.clocks], "do_sample_frames": False},
    )
    assert torch.equal(own["input_ids"], theirs["input_ids"])
    for name in ("pixel_values", "pixel_values_videos", "image_grid_thw", "video_grid_thw", "video_merge_sizes"):
        assert torch.equal(own[name], theirs[name])
    (text,) = loaded.processor.batch_decode(own["input_ids"])
    assert "Time 0.0s:,Time 2.0s:,Time 4.0s:" in text.replace("<video>", "")


@pytest.mark.parametrize("method", [RandomDrop(ratio=0.3)])
def test_later_turns_bring_new_pictures(method: Any) -> None:
    loaded: Any = tiny_model("video_llama_3", "sdpa")
    told, inputs, answer, logits = joined(loaded, method, [video_prompt(2), text_prompt("and then ?"), image_prompt()])
    assert min(told[0].shares[2], told[2].shares[2]) < 0.5
    assert oracle_gap(loaded, inputs, answer, told, logits) < 2e-4


@pytest.mark.parametrize(("by", "tokens"), [(1, (256, 1024)), (4, (64, 256))])
def test_32_frames_and_a_picture_at_full_scale(by: int, tokens: tuple[int, int]) -> None:
    node = yaml.safe_load((configs.FOLDER / "model" / "video_llama3.yaml").read_text())
    spec = {key: node[key] for key in ("family", "repo", "arch", "max_pixels")}
    loaded: Any = load(ModelSpec(**spec, weights="random", dtype="bfloat16", device="meta", pixels=by))
    assert sum(p.numel() for p in loaded.model.parameters()) / 1e9 == pytest.approx(8.045, abs=0.005)
    large = Prompt("?", [np.zeros((32, 448, 448, 3), np.uint8)], [Image.new("RGB", (448, 448))])
    ids = loaded.encode([large])["input_ids"]
    counts = [int((ids == getattr(loaded.model.config, f"{kind}_token_id")).sum()) for kind in ("video", "image")]
    assert counts == [32 * tokens[0], tokens[1]]


@pytest.mark.parametrize(("own", "left"), [(None, 576), (False, 576), (True, 51)])
def test_sixteen_equal_frames_of_280_pixels(own: bool | None, left: int) -> None:
    """36 tokens of the first frame and one of each other, where the processor's own utility says 576."""
    arch = ARCH | {"vision": {"layers": 1, "hidden": 32, "heads": 4, "mlp": 64, "image": 56, "patch": 14}}
    arch |= {"layers": 2, "hidden": 64, "mlp": 128, "vocab": 400}
    cap = 48 * 28 * 28
    spec = ModelSpec("video_llama_3", "", "random", device="cpu", arch=arch, max_pixels=cap, own_pruning=own)
    loaded: Any = load(spec)
    inputs = loaded.encode([still(16, (280, 280))])
    loaded.processor.video_processor.size = {"shortest_edge": 28**2, "longest_edge": 16 * cap}
    if not TAKES_APART:  # where the utility fails by itself
        told = loaded.processor._get_num_multimodal_tokens(video_sizes=[(16, 280, 280)])
        assert told["num_video_tokens"] == [576]
    with torch.no_grad(), attach(loaded.model, NoReduction()) as trace:
        ask(loaded.model, inputs, steps=1)
    (found,) = trace.prompts
    assert found.visual_per_layer == [left] * 2 and found.visual == 576
    assert found.shares == (left / 576,) * 3


def test_its_own_pruning_answers_as_without_us() -> None:
    loaded: Any = tiny(own=True)
    inputs = loaded.encode([still(4, (40, 60)), video_prompt(2), text_prompt()])
    plain = ask(loaded.model, inputs)
    with attach(loaded.model, NoReduction()) as trace:
        mine = ask(loaded.model, inputs)
        assert [len(told.layout.visual) for told in trace.prompts] == [40 + 3, 80, 0]
        assert torch.equal(torch.stack(plain.logits), torch.stack(mine.logits))
        with pytest.raises(UnsupportedError, match="one sequence"):
            ask(loaded.model, inputs, num_beams=2)


def test_its_own_pruning_is_no_other_methods_and_no_other_models() -> None:
    words = ["model=video_llama3", "model.own_pruning=true"]
    assert build_method(cell_from([*words, "reducer=none"])).visual == [8192] * 28
    with pytest.raises(WinnowError, match="reducer=fastv would prune twice: say reducer=none"):
        build_method(cell_from([*words, "reducer=fastv", "ratio=0.5"]))
    with pytest.raises(WinnowError, match="own_pruning=true has no meaning for model=qwen2_vl"):
        build_method(cell_from(["model=qwen2_vl", "model.own_pruning=true", "reducer=none"]))
    with pytest.raises(WinnowError, match="own_pruning=false has no meaning for llava"):
        load(ModelSpec("llava", "", "random", "tiny", device="cpu", arch=ARCH, own_pruning=False))
