"""MiniCPM-V 4.6: views that lie in a row, films without times, a tower that merges half way up, a hybrid LLM."""

from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from winnow import configs
from winnow.models.check.cases import ARCH, mixed_prompt, picture, text_prompt, tiny_model
from winnow.models.engine import attach
from winnow.models.families import minicpmv4_6
from winnow.models.families.llava import question
from winnow.models.families.prompt import Prompt
from winnow.models.loading.load import load
from winnow.models.loading.spec import ModelSpec
from winnow.reducers.core.errors import UnsupportedError, WinnowError
from winnow.reducers.none import NoReduction

LARGE = Image.fromarray(picture(4, size=(40, 60)))
SMALL = Image.fromarray(picture(5, size=(40, 40)))
alike = pytest.mark.skipif(minicpmv4_6.ALIKE, reason="this version takes views of one size alone")


def grids(trace: Any) -> list[list[tuple[int, int, int, int]]]:
    return [[(s.frames, s.rows, s.cols, s.view) for s in told.layout.spans] for told in trace.prompts]


@alike
def test_films_and_pictures_lie_as_they_are_shown() -> None:
    """In scoring and beams: a picture in slices and a small one, films of unlike size, and no picture."""
    loaded: Any = tiny_model("minicpmv4_6", "sdpa")
    films = Prompt("which ?", videos=[picture(2, 4), picture(3, 2, (40, 40))])
    inputs = loaded.encode([Prompt("which ?", images=[LARGE, SMALL]), films, text_prompt()])
    whole, sliced = (1, 2, 4, 0), [(1, 3, 3, 1), (1, 3, 3, 2)]
    expected = [[whole, *sliced, (1, 3, 3, 0)], [(4, 2, 4, 0), (2, 3, 3, 0)], []]
    with torch.no_grad(), attach(loaded.model, NoReduction()) as trace:
        loaded.model(**inputs)
        assert grids(trace) == expected
        loaded.model.generate(**inputs, max_new_tokens=1, pad_token_id=0, num_beams=2)
        assert grids(trace)[::2] == expected


@alike
def test_a_prompt_is_what_the_librarys_processor_writes() -> None:
    """Pictures are numbered and sliced, and so are films unless it is told otherwise, as the model's page does."""
    loaded: Any = tiny_model("minicpmv4_6", "sdpa")
    for prompt in (Prompt("when ?", images=[LARGE, SMALL]), Prompt("when ?", videos=[picture(2, 3)])):
        own = loaded.encode([prompt])
        theirs = loaded.processor(
            text=[question(loaded.processor, prompt)],
            images=prompt.images or None,
            videos=prompt.videos or None,
            use_image_id=not prompt.videos,
            videos_kwargs={"do_sample_frames": False, "max_slice_nums": 1},
        )
        assert set(own) == set(theirs)
        assert all(torch.equal(own[name], theirs[name]) for name in own)


def test_what_the_installed_version_mixes_up_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: Any = tiny_model("minicpmv4_6", "sdpa")
    inputs = loaded.encode([Prompt("?", images=[LARGE, SMALL])])
    monkeypatch.setattr(minicpmv4_6, "ALIKE", True)
    with attach(loaded.model, NoReduction()), pytest.raises(UnsupportedError, match="to be of one size"):
        loaded.model(**inputs)


@alike
def test_placeholders_that_do_not_fit_are_refused() -> None:
    loaded: Any = tiny_model("minicpmv4_6", "sdpa")
    inputs = loaded.encode([mixed_prompt()])
    ids = inputs["input_ids"][0]
    cut = int((ids == loaded.model.config.image_token_id).nonzero()[-1])
    with pytest.raises(WinnowError, match="placeholder tokens do not fit"):
        loaded.family.layouts(loaded.model.model, [torch.cat([ids[:cut], ids[cut + 1 :]])], inputs)


@pytest.mark.parametrize(
    ("size", "views"),
    [((448, 448), [64]), pytest.param((1920, 1080), [66] + [64] * 8, marks=alike), ((100, 80), [63])],
)
def test_pictures_and_frames_at_full_scale(size: tuple[int, int], views: list[int]) -> None:
    node = yaml.safe_load((configs.FOLDER / "model" / "minicpmv4_6.yaml").read_text())
    arch = ARCH | {"layers": 4, "hidden": 64, "mlp": 64, "vocab": 400, "vision": node["arch"]["vision"]}
    loaded: Any = load(ModelSpec("minicpmv4_6", "", "random", device="meta", arch=arch))
    frame = np.zeros((2, *size[::-1], 3), np.uint8)
    inputs = loaded.encode([Prompt("?", images=[Image.new("RGB", size)]), Prompt("?", videos=[frame])])
    ids = list(inputs["input_ids"])
    still, film = loaded.family.layouts(loaded.model.model, ids, inputs)
    assert [len(span) for span in still.spans] == views
    assert [(span.frames, len(span)) for span in film.spans] == [(2, 2 * views[0])]
