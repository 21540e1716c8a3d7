"""The same documents otherwise: nothing is lost, and no more changes than is said."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from winnow.harness.config.schema import StressConfig
from winnow.harness.data.stress import Stress
from winnow.models.families.prompt import Prompt

DOCUMENTS: Any = [SimpleNamespace(doc_id=i, text=f"question {i}") for i in range(9)]
RAMP = np.add.outer(np.arange(2 * 24) * 3, np.arange(32) * 3).reshape(2, 24, 32, 1)
PIXELS = (RAMP + np.array([0, 5, 10])).astype(np.uint8)


def stress(**asked: Any) -> Stress:
    return Stress(StressConfig(**asked), DOCUMENTS)


def test_nothing_that_was_not_asked_for_changes() -> None:
    plain, prompt = stress(), Prompt("q", [PIXELS])
    assert plain.ordered(DOCUMENTS) == DOCUMENTS and plain.prompt(prompt) is prompt
    assert plain.text(DOCUMENTS[3]) == "question 3" and plain.sample(max) is max  # type: ignore[arg-type, comparison-overlap]
    assert StressConfig().words == {} and StressConfig(order=0).words == {"order": 0}


def test_another_order_holds_every_document_once_and_is_the_same_again() -> None:
    found = stress(order=1).ordered(DOCUMENTS)
    assert found != DOCUMENTS and sorted(one.doc_id for one in found) == [*range(9)]
    assert found == stress(order=1).ordered(DOCUMENTS) != stress(order=2).ordered(DOCUMENTS)


def test_every_question_is_asked_about_another_documents_pictures() -> None:
    asked = [stress(question="other").text(one) for one in DOCUMENTS]
    assert asked == [f"question {(i + 1) % 9}" for i in range(9)]


def test_in_a_second_turn_the_own_question_follows_that_of_another() -> None:
    two = stress(question="second")
    assert [two.text(one) for one in DOCUMENTS] == [stress(question="other").text(one) for one in DOCUMENTS]
    assert [two.then(one) for one in DOCUMENTS] == [one.text for one in DOCUMENTS]
    assert stress().then(DOCUMENTS[0]) == stress(question="other").then(DOCUMENTS[0]) == ""
    assert StressConfig(question="second").turns == 2 and StressConfig().turns == 1


@pytest.mark.parametrize("media", ["reencode", "shift"])
def test_pixels_change_a_little(media: str) -> None:
    prompt = Prompt("q", [PIXELS], [Image.fromarray(PIXELS[0])], [2.0])
    found = stress(media=media).prompt(prompt)
    assert found.videos[0].shape == PIXELS.shape and found.images[0].size == (32, 24) and found.rates == [2.0]
    assert (found.videos[0] != PIXELS).any() and np.array_equal(np.asarray(found.images[0]), found.videos[0][0])
    if media == "shift":
        assert np.array_equal(found.videos[0][:, :, 1:], PIXELS[:, :, :-1])
    else:
        assert np.abs(found.videos[0].astype(int) - PIXELS).mean() < 10


def test_jitter_takes_frames_up_to_one_earlier() -> None:
    asked = []

    def sample(path: Path, frames: int, until: int | None) -> Any:
        asked.append(until)
        return SimpleNamespace(indices=[0, 10, 20] if until is None else [0, until])

    assert stress(media="jitter").sample(sample)(Path("v"), 3, None).indices == [0, 19]
    assert asked == [None, 19]
