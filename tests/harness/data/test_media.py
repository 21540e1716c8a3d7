"""Frames come from uniform places, and a broken file is one line that names it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from winnow.harness.data.media import decode_video, make_prompt, name_of
from winnow.harness.data.pictures import mended
from winnow.harness.data.video.clip import uniform_indices
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
    assert uniform_indices(total, frames) == expected


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
        with pytest.raises(WinnowError, match=r"cannot be decoded|is damaged"):
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


def test_picture_cut_in_half_fails_however_it_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """lmms-eval lets its missing part pass as grey for the whole process."""
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    path = tmp_path / "half.jpg"
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(WinnowError, match=r"half\.jpg cannot be read"):
        make_prompt("?", [path], 8)
    with pytest.raises(WinnowError, match="a picture cannot be read"):
        make_prompt("?", [Image.open(path)], 8)
    assert ImageFile.LOAD_TRUNCATED_IMAGES


@pytest.mark.parametrize("ending", ["avif", "tif", "gif", "webp", "PNG"])
def test_formats_of_pictures(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    Image.new("RGB", (32, 16), (200, 100, 0)).save(path)
    prompt = make_prompt("?", [str(path)], 8)
    assert [picture.size for picture in prompt.images] == [(32, 16)] and not prompt.videos


@pytest.mark.parametrize("ending", ["gif", "webp", "avif", "png"])
def test_picture_that_moves_is_a_video(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    pictures = [Image.new("RGB", (32, 16), (60 * number, 0, 0)) for number in range(4)]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=100)
    prompt = make_prompt("?", [str(path)], 4)
    assert not prompt.images and prompt.videos[0].shape == (4, 16, 32, 3)
    assert [int(frame[0, 0, 0]) for frame in prompt.videos[0]] == pytest.approx([0, 60, 120, 180], abs=4)
    assert prompt.rates == [pytest.approx(10)]
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(WinnowError, match=rf"a\.{ending} (cannot be|is damaged)"):
        make_prompt("?", [str(path)], 4)


def test_pictures_are_upright_and_scaled(tmp_path: Path) -> None:
    turned = Image.new("RGB", (40, 20))
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(tmp_path / "a.jpg", exif=exif)
    for visual in (tmp_path / "a.jpg", Image.open(tmp_path / "a.jpg")):
        assert make_prompt("?", [visual], 8).images[0].size == (20, 40)
    deep = Image.fromarray(np.full((4, 4), 0x8080, np.uint16))
    deep.save(tmp_path / "deep.png")
    assert make_prompt("?", [tmp_path / "deep.png"], 8).images[0].getpixel((0, 0)) == (128, 128, 128)
    assert mended({"image": deep, "text": "x"})["image"].getpixel((0, 0)) == (128, 128, 128)
    for white, level in ((1.0, 127), (255.0, 127)):  # floats: shares of white, or levels
        Image.fromarray(np.array([[white, white / 2]], np.float32)).save(tmp_path / "float.tif")
        shown = make_prompt("?", [tmp_path / "float.tif"], 8).images[0]
        assert shown.getpixel((0, 0)) == (255,) * 3 and shown.getpixel((1, 0)) == (level,) * 3


def test_folder_of_frames_is_a_video(tmp_path: Path) -> None:
    folder = tmp_path / "tvqa" / "video_fps3" / "clip"
    folder.mkdir(parents=True)
    for number in range(1, 12):
        Image.new("RGB", (8, 8), (20 * number, 0, 0)).save(folder / f"{number}.png")
    prompt = make_prompt("?", [str(folder)], 3)
    assert [int(frame[0, 0, 0]) for frame in prompt.videos[0]] == [20, 120, 220]
    assert prompt.rates == [pytest.approx(3 * 2 / 10)]
    (tmp_path / "empty").mkdir()
    with pytest.raises(WinnowError, match="empty holds no pictures"):
        make_prompt("?", [tmp_path / "empty"], 3)
