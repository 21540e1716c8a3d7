"""GLM-4.1V: films whose steps are pictures to the model, sampled by nobody but Winnow."""

from typing import Any

import numpy as np
import pytest
import torch
import yaml

from winnow import configs
from winnow.models.check.cases import film_prompt, image_prompt, mixed_prompt, picture, text_prompt, tiny_model
from winnow.models.engine import attach, trained_positions
from winnow.models.families.llava import question
from winnow.models.families.prompt import Prompt
from winnow.models.loading.load import load
from winnow.models.loading.spec import ModelSpec
from winnow.models.transformers_api import TAKES_APART
from winnow.reducers.none import NoReduction
from winnow.reducers.random import RandomDrop

FILM = film_prompt(frames=10)


def native(loaded: Any, prompt: Prompt) -> Any:
    """A film as the library's processor prepares it when it is told to sample none away."""
    told = {"video_metadata": [prompt.clocks], "do_sample_frames": False}
    return loaded.processor(
        text=[question(loaded.processor, prompt)], videos=prompt.videos, return_tensors="pt", **told
    )


def grids(trace: Any) -> list[list[tuple[int, int, int]]]:
    return [[(s.frames, s.rows, s.cols) for s in told.layout.spans] for told in trace.prompts]


@pytest.mark.parametrize("family", ["glm4v", "glm46v", "glm4v_moe"])
def test_a_film_of_pictures_is_to_the_model_what_the_library_makes_of_it(family: str) -> None:
    loaded: Any = tiny_model(family, "sdpa")
    own, theirs = loaded.family.encode(loaded.processor, [FILM]), native(loaded, FILM)
    assert torch.equal(own["input_ids"], theirs["input_ids"])
    with torch.no_grad():
        assert torch.equal(loaded.model(**own).logits, loaded.model(**theirs).logits)


def test_films_and_pictures_lie_as_they_are_shown() -> None:
    """In scoring, generation, beams, and as the library prepares films."""
    loaded: Any = tiny_model("glm4v", "sdpa")
    inputs = loaded.encode([FILM, mixed_prompt(), text_prompt()])
    expected = [[(5, 2, 3)], [(1, 5, 8), (1, 5, 8), (1, 5, 8)], []]
    with torch.no_grad(), attach(loaded.model, NoReduction()) as trace:
        loaded.model(**inputs)
        assert grids(trace) == expected
        if not TAKES_APART:  # where the library itself fails
            loaded.model.generate(**inputs, max_new_tokens=1, pad_token_id=0, num_beams=2)
            assert grids(trace)[::2] == expected
        loaded.model(**native(loaded, FILM))
        assert grids(trace) == expected[:1]
    with torch.no_grad(), attach(loaded.model, RandomDrop(ratio=0.3), keys=["a"]):
        reduced = [loaded.model(**given).logits for given in (loaded.encode([FILM]), native(loaded, FILM))]
    assert torch.equal(*reduced)


def test_positions_are_the_librarys() -> None:
    """Steps begin anew behind the text before them, so that no film is longer than its frames are wide."""
    loaded: Any = tiny_model("glm4v", "sdpa")
    inputs = loaded.family.encode(loaded.processor, [FILM, mixed_prompt(), text_prompt()])
    found, real = trained_positions(loaded.model, inputs), inputs["attention_mask"].bool()
    told = {name: inputs[name] for name in ("mm_token_type_ids", "image_grid_thw", "attention_mask")}
    assert torch.equal(found[:, real], loaded.model.model.get_rope_index(inputs["input_ids"], **told)[0][:, real])


@pytest.mark.parametrize(("family", "form"), [("glm4v", "{}"), ("glm46v", "{}.0 seconds")])
@pytest.mark.parametrize(("frames", "seconds"), [(1, [0]), (5, [0, 4, 8]), (8, [0, 4, 8, 12])])
def test_no_frame_is_sampled_away(family: str, form: str, frames: int, seconds: list[int]) -> None:
    """Two frames are a step, of an odd number the last one twice; the second of the first of them stands behind it."""
    loaded: Any = tiny_model(family, "sdpa")
    inputs = loaded.family.encode(loaded.processor, [Prompt("?", [picture(1, frames, (16, 24))], rates=[0.5])])
    (text,) = loaded.processor.batch_decode(inputs["input_ids"])
    written = "".join(f"<|begin_of_image|><|end_of_image|>{form.format(second)}" for second in seconds)
    assert f"<|begin_of_video|>{written}<|end_of_video|>" in text.replace("<image>", "")
    assert inputs["image_grid_thw"].tolist() == [[1, 4, 6]] * len(seconds)


@pytest.mark.parametrize(("by", "tokens"), [(1, 196), (4, 49)])
@pytest.mark.parametrize("frames", [2, 9])
def test_a_frame_is_no_larger_than_a_picture(by: int, tokens: int, frames: int) -> None:
    node = yaml.safe_load((configs.FOLDER / "model" / "glm4v_9b.yaml").read_text())
    cap = 196 * (2 * node["arch"]["vision"]["patch"]) ** 2
    loaded: Any = load(
        ModelSpec("glm4v", "", "random", "tiny", arch=node["arch"], max_pixels=cap, pixels=by, device="cpu")
    )
    still = image_prompt().images[0].resize((720, 720))
    inputs = loaded.family.encode(loaded.processor, [Prompt("?", [np.zeros((frames, 720, 720, 3), np.uint8)], [still])])
    assert (inputs["image_grid_thw"].prod(-1) // 4).tolist() == [tokens] * (1 + (frames + 1) // 2)
