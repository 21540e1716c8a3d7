"""Makes the videos to measure with, by the program ffmpeg: 20 seconds, encoded once, repeated by stream copy."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

CODECS = {
    "H.264": ("mp4", "-c:v libx264 -preset veryfast -crf 26 -g 125 -bf 3"),
    "HEVC": ("mp4", "-c:v libx265 -preset ultrafast -crf 28 -x265-params log-level=error:keyint=125"),
    "VP9": ("webm", "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -b:v 1500k -g 125"),
    "AV1": ("mp4", "-c:v libsvtav1 -preset 12 -crf 40 -g 125"),
}
"""By name: the container, and how it is encoded."""


def film(folder: Path, codec: str, minutes: int) -> Path:
    """A video of 720p at 25 frames a second."""
    ending, how = CODECS[codec]
    short = _ffmpeg(
        f"-f lavfi -i mandelbrot=s=1280x720:r=25 -t 20 -pix_fmt yuv420p {how}", folder / f"{codec}.{ending}"
    )
    return _ffmpeg(f"-stream_loop {3 * minutes - 1} -i {short} -c copy", folder / f"{codec}_{minutes}.{ending}")


def copies(folder: Path, count: int) -> list[Path]:
    """As many files of one minute."""
    source, paths = film(folder, "H.264", 1), [folder / f"run_{number:02d}.mp4" for number in range(count)]
    for path in paths:
        if not path.exists():
            shutil.copy(source, path)
    return paths


def large(folder: Path) -> Path:
    """Four seconds of 4K."""
    source = "-f lavfi -i testsrc2=s=3840x2160:r=25:d=4 -pix_fmt yuv420p"
    return _ffmpeg(f"{source} -c:v libx264 -preset veryfast -crf 26 -g 50 -bf 3", folder / "4k.mp4")


def _ffmpeg(words: str, path: Path) -> Path:
    if not path.exists():
        draft = path.with_name(f"draft_{path.name}")
        subprocess.run(["ffmpeg", "-v", "error", "-y", *words.split(), draft], check=True, stderr=subprocess.DEVNULL)
        draft.replace(path)
    return path
