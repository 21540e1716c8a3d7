"""`winnow frames` writes what a run would see of a file, or why it sees nothing."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from winnow.harness.cli.main import app
from winnow.harness.data.decoders import read
from winnow.reducers.core.errors import WinnowError

FILM = Path(__file__).parents[1] / "data" / "awkward" / "cut_h264.mp4"


def frames(*words: object) -> Any:
    return CliRunner().invoke(app, ["frames", *map(str, words)], catch_exceptions=False)


def test_frames_of_a_film(tmp_path: Path) -> None:
    done = frames(FILM, "--frames", 4, "--out", tmp_path)
    told, seen = json.loads((tmp_path / "frames.json").read_text()), read(FILM, 4)
    assert done.exit_code == 0 and "4 frames in" in done.stdout
    assert [frame["index"] for frame in told["frames"]] == seen.indices == [0, 17, 34, 51]
    assert [frame["seconds"] for frame in told["frames"]] == pytest.approx(seen.seconds)
    assert (told["reader"], told["rate"], told["failed"]) == (seen.reader, seen.rate, "")
    written = [np.asarray(Image.open(path)) for path in sorted(tmp_path.glob("*.png"))]
    assert (np.stack(written) == seen.frames).all()


def test_damage_is_told_and_older_frames_are_gone(tmp_path: Path) -> None:
    half = tmp_path / "half.mkv"
    half.write_bytes((FILM.parent / "h264_opengop.mkv").read_bytes()[:20_000])
    assert frames(FILM, "--frames", 4, "--out", tmp_path / "out").exit_code == 0
    done = frames(half, "--out", tmp_path / "out")
    told = json.loads((tmp_path / "out" / "frames.json").read_text())
    assert done.exit_code == 1 and not list((tmp_path / "out").glob("*.png")) and not told["frames"]
    assert "half.mkv is damaged (it ends after 20000 of" in told["failed"]
    assert frames(half, "--out", tmp_path / "out", "--accept-damaged").exit_code == 0
    assert json.loads((tmp_path / "out" / "frames.json").read_text())["damage"]


def test_number_of_frames_is_the_models(tmp_path: Path) -> None:
    assert "8 frames" in frames(FILM, "--out", tmp_path, "--model", "pico").stdout
    with pytest.raises(WinnowError, match="unknown model 'nope': choose "):
        frames(FILM, "--out", tmp_path, "--model", "nope")


@pytest.mark.parametrize(("name", "message"), [("gone.mp4", "does not exist"), ("pipe.mp4", "is no file")])
def test_what_is_no_file_is_a_mistake_and_leaves_nothing(tmp_path: Path, name: str, message: str) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(WinnowError, match=rf"{name} {message}: give a video, a picture or a folder of frames$"):
        frames(tmp_path / name, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()
