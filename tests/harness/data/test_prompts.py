"""Which frames of which video a prompt asks for; nothing is decoded."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from winnow.harness.data.media import make_prompt, videos_of
from winnow.harness.data.video.clip import Clip, rate_of, wanted

FILM, OTHER = "a/film.mp4", "b/film.mp4"


def asked(visuals: list[Any], frames: int = 4) -> tuple[list[tuple[str, int, int | None]], Any]:
    """What is asked of the reader of videos, and the prompt that comes of it."""
    calls: list[tuple[str, int, int | None]] = []

    def sample(path: Path, count: int, until: int | None) -> Clip:
        calls.append((str(path), count, until))
        return Clip(np.full((count, 2, 2, 3), len(calls), np.uint8), [*range(count)], [], float(len(calls)), "x")

    return calls, make_prompt("what?", visuals, frames, sample)


def test_a_streaming_question_does_not_see_the_future() -> None:
    calls, prompt = asked([{"video_path": FILM, "timestep": 7}], 3)
    assert calls == [(FILM, 3, 7)] and len(prompt.videos) == 1
    assert asked([{"video_path": FILM, "timestep": "0"}])[0] == [(FILM, 4, 0)]
    assert asked([FILM])[0] == [(FILM, 4, None)] == asked([Path(FILM)])[0]


def test_videos_keep_their_order_and_their_rates_beside_pictures() -> None:
    calls, prompt = asked([FILM, Image.new("RGB", (2, 2)), {"video_path": OTHER, "timestep": 1}])
    assert [path for path, _, _ in calls] == [FILM, OTHER] and len(prompt.images) == 1
    assert [int(video[0, 0, 0, 0]) for video in prompt.videos] == [1, 2] and prompt.rates == [1, 2]


def test_videos_of_what_a_question_shows(tmp_path: Path) -> None:
    shown = [FILM, {"video_path": OTHER, "timestep": 3}, "c.png", tmp_path, Image.new("L", (1, 1))]
    assert [*videos_of(shown)] == [(Path(FILM), None), (Path(OTHER), 3)]


@pytest.mark.parametrize(
    ("total", "until", "expected"),
    [(9, None, [0, 4, 8]), (9, 4, [0, 2, 4]), (9, 0, [0, 0, 0]), (9, 100, [0, 4, 8]), (9, -5, [0, 0, 0])],
)
def test_no_frame_behind_the_time_step_is_wanted(total: int, until: int | None, expected: list[int]) -> None:
    assert wanted(total, 3, until) == expected


def test_a_video_without_frames_is_no_video() -> None:
    with pytest.raises(ValueError, match="it has no frames"):
        wanted(0, 3, None)


@pytest.mark.parametrize(
    ("seconds", "whole", "rate"),
    [([0.0, 0.5, 1.0], 9.0, 2.0), ([3.0], 4.0, 0.25), ([0.0, 0.0], 0.0, 1.0), ([2.0, 6.0], 8.0, 0.25)],
)
def test_a_rate_is_that_of_the_frames_shown(seconds: list[float], whole: float, rate: float) -> None:
    assert rate_of(seconds, whole) == rate
