"""Frames come from uniform places, and a broken file is one line that names it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from winnow.harness.data.decoders import uniform_indices
from winnow.harness.data.media import decode_video, make_prompt, name_of
from winnow.harness.tasks.pico.data import root
from winnow.reducers.core.errors import WinnowError


@pytest.fixture(scope="module")
def video(benchmark: Path) -> Path:
    return root(benchmark) / "video" / "test" / "0000.mp4"


@pytest.mark.parametrize(
    ("total", "frames", "expected"),
    [(8, 8, list(range(8))), (9, 3, [0, 4, 8]), (2, 4, [0, 0, 0, 1]), (1, 3, [0, 0, 0]), (100, 1, [0])],
)
def test_uniform_indices(total: int, frames: int, expected: list[int]) -> None:
    assert uniform_indices(total, frames).tolist() == expected


def test_files_of_one_name_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    same = ["a/videos/1.mp4", "b/videos/1.mp4", "videos/1.mp4"]
    assert len({name_of([tmp_path / name]) for name in same}) == 3
    assert str(tmp_path) not in name_of([tmp_path / same[0]])
    one = name_of([{"video_path": str(tmp_path / same[0]), "timestep": 3}])
    assert one == name_of([{"video_path": str(tmp_path / same[0]), "timestep": 9}]) == name_of([tmp_path / same[0]])
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    assert [name_of([tmp_path / name]) for name in same] == same  # the same on any machine


def test_pictures_are_told_apart_by_content() -> None:
    wide, tall = Image.new("L", (4, 2)), Image.new("L", (2, 4))
    assert name_of([wide]) != name_of([tall]) and name_of([wide]) == name_of([Image.new("L", (4, 2))])


def test_frames_of_a_video(video: Path) -> None:
    decoded = decode_video(video, 8)
    assert decoded.shape == (8, 60, 60, 3) and decoded.dtype == np.uint8
    assert (decode_video(video, 2) == decoded[[0, 7]]).all()


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "does not exist"), (b"", r"is empty \(0 bytes\)"), (b"x" * 5000, "cannot be decoded")],
)
def test_broken_video_is_named(tmp_path: Path, content: bytes | None, reason: str) -> None:
    path = tmp_path / "broken.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WinnowError, match=rf"broken\.mp4 {reason}") as error:
        decode_video(path, 8)
    assert "\n" not in str(error.value)


def test_truncated_video_is_named_wherever_it_ends(tmp_path: Path, video: Path) -> None:
    whole = video.read_bytes()
    for share in (0.1, 0.5, 0.9):
        path = tmp_path / f"{share}.mp4"
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(WinnowError, match="cannot be decoded"):
            decode_video(path, 8)


def test_prompt_of_pictures_and_videos(tmp_path: Path, video: Path) -> None:
    picture = Image.new("L", (4, 4))
    picture.save(tmp_path / "some.png")
    prompt = make_prompt("what?", [picture, str(tmp_path / "some.png"), str(video)], 8)
    assert prompt.text == "what?"
    assert [image.mode for image in prompt.images] == ["RGB", "RGB"]
    assert [len(frames) for frames in prompt.videos] == [8]


def test_other_visuals_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WinnowError, match="visuals of type dict are not supported"):
        make_prompt("what?", [{"video_path": "x"}], 8)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(WinnowError, match=r"broken\.png cannot be read"):
        make_prompt("what?", [str(tmp_path / "broken.png")], 8)
