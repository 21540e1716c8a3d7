"""The Qwen families: grids of temporal steps, time, deepstack and the cap on pixels."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from winnow import configs
from winnow.models.check.cases import image_prompt, picture, tiny_model, video_prompt
from winnow.models.engine import attach
from winnow.models.families.prompt import Prompt
from winnow.models.loading.load import load
from winnow.models.loading.spec import ModelSpec
from winnow.reducers.aim_temporal import AIMTemporal
from winnow.reducers.fastv import FastV
from winnow.reducers.none import NoReduction
from winnow.reducers.random import RandomDrop

FAMILIES = ["qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_5"]
TWO_FILMS = Prompt("which ?", [picture(2, 4), picture(3, 2)[:, :30]], image_prompt().images, [1.5, 4.0])


def encode(family: str, *prompts: Prompt) -> tuple[Any, Any]:
    loaded = tiny_model(family, "sdpa")
    return loaded, loaded.family.encode(loaded.processor, list(prompts))


def grids(trace: Any) -> list[list[tuple[int, int, int]]]:
    return [[(s.frames, s.rows, s.cols) for s in told.layout.spans] for told in trace.prompts]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_video_is_one_grid_in_scoring_generation_and_beams(family: str) -> None:
    """Two films of different size and length, and an image: also where Qwen3-VL writes the time between the steps."""
    loaded, inputs = encode(family, TWO_FILMS, video_prompt())
    expected = [[(1, 5, 8), (2, 5, 8), (1, 4, 8)], [(2, 5, 8)]]
    with torch.no_grad(), attach(loaded.model, NoReduction()) as trace:
        loaded.model(**inputs)
        assert grids(trace) == expected
        loaded.model.generate(**inputs, max_new_tokens=1, pad_token_id=0)
        assert grids(trace) == expected
        loaded.model.generate(**inputs, max_new_tokens=1, pad_token_id=0, num_beams=2)
        assert grids(trace) == [expected[0]] * 2 + [expected[1]] * 2
    token = loaded.model.config.video_token_id
    for b, told in enumerate(trace.prompts[::2]):
        ids = inputs["input_ids"][b, -told.layout.length :]
        films = torch.cat([span.positions for span in told.layout.spans if bool(ids[span.positions[0]] == token)])
        assert torch.equal(films, (ids == token).nonzero().flatten())


def test_placeholders_that_do_not_fit_are_refused() -> None:
    loaded, inputs = encode("qwen3_vl", video_prompt())
    layouts = loaded.family.layouts
    ids = inputs["input_ids"][0]
    steps = (ids == loaded.model.config.video_token_id).nonzero().flatten()
    for wrong in (ids[: int(steps[-1])], ids[: int(steps[len(steps) // 2])]):
        with pytest.raises(Exception, match="placeholder tokens"):
            layouts(loaded.model.model, [wrong], dict(inputs))


def test_qwen3_writes_the_time_of_each_step_once() -> None:
    loaded, inputs = encode("qwen3_vl", TWO_FILMS)
    (text,) = loaded.processor.batch_decode(inputs["input_ids"])
    bare = text.replace("<video>", "").replace("<image>", "")
    steps = ["<0.3 seconds>", "<1.7 seconds>", "<0.1 seconds>"]
    assert "".join(f"{time}<|vision_start|><|vision_end|>" for time in steps) in bare
    assert bare.count("<|vision_start|>") == 4


def test_qwen25_spaces_its_steps_by_the_clock() -> None:
    """Temporal ids are ``tokens_per_second`` = 2 apart for each second between steps of two frames."""
    loaded = tiny_model("qwen2_5_vl", "sdpa")
    apart = {}
    for rate in (0.5, 1.0, 2.0):
        prompt = Prompt("when ?", [picture(4, 4)], rates=[rate])
        inputs = loaded.family.encode(loaded.processor, [prompt])
        caught: list[Any] = []
        llm: Any = loaded.model.model.language_model
        handle = llm.register_forward_pre_hook(
            lambda m, a, kwargs, caught=caught: caught.append(kwargs), with_kwargs=True
        )
        with torch.no_grad():
            loaded.model(**inputs)
        handle.remove()
        video = inputs["input_ids"][0] == loaded.model.config.video_token_id
        times = caught[0]["position_ids"][-3, 0, video].unique()
        apart[rate] = int(times[-1] - times[0])
    assert apart == {0.5: 8, 1.0: 4, 2.0: 2}


@pytest.mark.parametrize("reducer", [FastV(ratio=0.3), RandomDrop(ratio=0.3), AIMTemporal(ratio=0.5, positions="keep")])
def test_deepstack_reaches_the_tokens_that_are_left(reducer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its features a reduced model answers something else: the oracle's agreement is about something."""
    loaded, inputs = encode("qwen3_vl", video_prompt())

    def answer() -> torch.Tensor:
        with torch.no_grad(), attach(loaded.model, reducer, keys=["a"]):
            return loaded.model(**inputs).logits[0, -1]

    whole = answer()
    for merger in loaded.model.model.visual.deepstack_merger_list:
        monkeypatch.setattr(merger.linear_fc2, "forward", lambda x, out=64: x.new_zeros(*x.shape[:-1], out))
    assert (whole - answer()).abs().max() > 0.1


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("qwen2_vl", 256),
        ("qwen2_5_vl", 256),
        ("qwen3_vl", 196),
        ("qwen3_5_4b", 196),
        ("glm4v_9b", 256),
        ("glm46v_flash", 256),
    ],
)
def test_32_frames_make_the_tokens_of_the_papers(name: str, step: int) -> None:
    """AIM, Table A: 32 frames are 16 x 256 = 4096 tokens on Qwen2-VL; counted on the full-scale model's shapes."""
    node = yaml.safe_load(Path(configs.FOLDER / "model" / f"{name}.yaml").read_text())
    spec = {key: node[key] for key in ("family", "repo", "arch", "max_pixels")}
    loaded: Any = load(ModelSpec(**spec, weights="random", dtype="bfloat16", device="meta"))
    inputs = loaded.family.encode(loaded.processor, [Prompt("what ?", [np.zeros((32, 460, 460, 3), np.uint8)])])
    layout = loaded.family.layouts(loaded.model.model, [inputs["input_ids"][0]], dict(inputs))[0]
    side = int(step**0.5)
    assert [(s.frames, s.rows, s.cols) for s in layout.spans] == [(16, side, side)]
    assert len(layout.visual) == node["nominal"]["frames"] * node["nominal"]["tokens_per_frame"] == 16 * step


@pytest.mark.parametrize("name", ["qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_5"])
@pytest.mark.parametrize(("by", "tokens"), [(1, 196), (4, 49)])
def test_the_cap_on_pixels_is_divided_for_images_too(name: str, by: int, tokens: int) -> None:
    """Tiny patches get as many tokens as the real ones."""
    node = yaml.safe_load(Path(configs.FOLDER / "model" / f"{name}.yaml").read_text())
    cap = 196 * (2 * node["arch"]["vision"]["patch"]) ** 2
    spec = ModelSpec(name, "", "random", "tiny", arch=node["arch"], max_pixels=cap, pixels=by, device="cpu")
    loaded: Any = load(spec)
    prompt = Prompt("what ?", [np.zeros((2, 720, 720, 3), np.uint8)], image_prompt().images)
    prompt.images[0] = prompt.images[0].resize((720, 720))
    ids = loaded.family.encode(loaded.processor, [prompt])["input_ids"]
    counts = [int((ids == getattr(loaded.model.config, f"{kind}_token_id")).sum()) for kind in ("image", "video")]
    assert counts == [tokens, tokens]
