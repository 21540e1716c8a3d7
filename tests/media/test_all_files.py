"""`winnow frames` beside ffmpeg's own full decode, on every file that ``scripts/make_media.py`` makes."""

import importlib.util
import json
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from winnow.harness.cli.main import app

SCRIPT = Path(__file__).parents[2] / "scripts" / "make_media.py"
NEWER = {"cut_av1.mp4"}
"""Files whose edit list older versions of the program ffmpeg do not follow with this codec; the plan does."""

pytestmark = [pytest.mark.media, pytest.mark.timeout(3600)]


def full(path: Path) -> list[np.ndarray]:
    """Every frame as ffmpeg shows it, of the stream marked as default, else the first."""
    known = ["ffprobe", "-v", "error", "-show_entries", "stream=index,codec_type:stream_disposition", "-of", "json"]
    told = json.loads(subprocess.run([*known, path], capture_output=True, text=True, check=True).stdout)["streams"]
    videos = [s for s in told if s.get("codec_type") == "video" and not s["disposition"]["attached_pic"]]
    stream = next((s for s in videos if s["disposition"]["default"]), videos[0])["index"]
    folder = path.with_name(f"{path.name}.frames")
    folder.mkdir()
    words = ["-map", f"0:{stream}", "-vsync", "passthrough", "-pix_fmt", "rgb24", "-compression_level", "1"]
    subprocess.run(["ffmpeg", "-v", "quiet", "-i", path, *words, folder / "%06d.png"], check=False)
    frames = [np.asarray(Image.open(name)) for name in sorted(folder.iterdir())]
    shutil.rmtree(folder)
    return frames


def judged(path: Path, out: Path) -> str:
    """Whether the frames are those of the full decode: right, wrong or the reason why there are none."""
    CliRunner().invoke(app, ["frames", str(path), "--frames", "8", "--out", str(out)], catch_exceptions=False)
    told = json.loads((out / "frames.json").read_text())
    if told["failed"]:
        return "damaged" if path.parent.name == "damaged" else f"failed: {told['failed']}"
    truth = full(path)
    indices = np.linspace(0, len(truth) - 1, 8, dtype=int).tolist()
    found = [np.asarray(Image.open(name)) for name in sorted(out.glob("*.png"))]
    same = [
        a.shape == truth[i].shape and abs(a.astype(int) - truth[i]).mean() < 2
        for a, i in zip(found, indices, strict=True)
    ]
    return "right" if [f["index"] for f in told["frames"]] == indices and all(same) else "wrong"


def test_every_file(tmp_path: Path) -> None:
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed (Debian: apt install ffmpeg)")
    spec = importlib.util.spec_from_file_location("make_media", SCRIPT)
    assert spec is not None and spec.loader is not None
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    made = [path for path in maker.make(tmp_path / "files") if path.name not in NEWER]
    found = {path: judged(path, tmp_path / "out") for path in made}
    count = Counter(word.partition(":")[0] for word in found.values())
    print(
        count, *(f"{path.name}: {word}" for path, word in found.items() if word not in {"right", "damaged"}), sep="\n"
    )
    good = [word for path, word in found.items() if path.parent.name != "damaged"]
    assert len(good) >= 100 and count["wrong"] == 0
    assert sum(word == "right" for word in good) >= 0.9 * len(good)
    assert {word for path, word in found.items() if path.parent.name == "damaged"} == {"damaged"}
