"""Whose text belongs to which frame."""

import pytest
import torch

from winnow.models.engine.texts import Texts
from winnow.reducers.core.errors import UnsupportedError, WinnowError
from winnow.reducers.core.layout import Layout, Span


def prompt(*frames: int, towers: tuple[int, ...] = ()) -> Layout:
    """A prompt with films of so many frames of one token each."""
    spans, place = [], 1
    for number, count in enumerate(frames):
        spans.append(Span(torch.arange(place, place + count), count, 1, 1, tower=towers[number] if towers else 0))
        place += count + 1
    return Layout(place + 1, tuple(spans))


def told(texts: list[str], layouts: list[Layout], frames: int, tower: int = 0) -> list[str]:
    made = Texts(texts, "trim")
    made.expect(layouts, later=False)
    return made.of_frames(frames, tower)


def test_each_frame_has_the_text_of_its_prompt() -> None:
    assert told(["a", "b"], [prompt(2, 1), prompt(1)], 4) == ["a", "a", "a", "b"]
    assert told(["a", "b"], [prompt(), prompt(2)], 2) == ["b", "b"]


def test_each_tower_has_frames_of_its_own() -> None:
    layouts = [prompt(2, 1, towers=(0, 1)), prompt(1, towers=(1,))]
    assert told(["a", "b"], layouts, 2, 0) == ["a", "a"] and told(["a", "b"], layouts, 2, 1) == ["a", "b"]


def test_sequences_of_a_prompt_are_encoded_once_or_each() -> None:
    layouts = [prompt(1), prompt(1), prompt(2), prompt(2)]
    assert told(["a", "b"], layouts, 3) == ["a", "b", "b"]
    assert told(["a", "b"], layouts, 6) == ["a", "a", "b", "b", "b", "b"]


def test_there_is_one_text_for_each_prompt() -> None:
    with pytest.raises(WinnowError, match="give a list with one per prompt"):
        Texts("one", "trim")
    with pytest.raises(WinnowError, match=r"reducer=trim compares .* takes one per prompt"):
        told([], [prompt(1)], 1)
    with pytest.raises(WinnowError, match="3 texts were given for a batch of 2 prompts"):
        told(["a", "b", "c"], [prompt(1), prompt(1)], 2)


def test_pictures_of_a_later_turn_have_no_text_of_their_own() -> None:
    with pytest.raises(UnsupportedError, match="reducer=trim compares pictures with the text of the first turn"):
        Texts(["a"], "trim").expect([prompt(), prompt(1)], later=True)
    Texts(["a"], "trim").expect([prompt()], later=True)
    Texts(["a"]).expect([prompt(1)], later=True)
    Texts(["a"], "trim").expect([prompt(1)], later=False)
