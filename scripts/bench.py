"""What Winnow is measured by, one subcommand each.

    python scripts/bench.py media [--folder FOLDER] [--minutes 1 10] [--videos 24] [--rival]

`media`: the readers of videos beside decord and PyAV for the same frames; a run whose videos are decoded ahead of a
stand-in model that sleeps, beside the same run in line; with ``--rival`` lmms-eval's own loader. Needs the program
ffmpeg to make its videos. Ratios are what counts, as other programs may be running.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from winnow.harness.common.spent import Spent
from winnow.harness.data.ahead import Ahead
from winnow.harness.data.decoders import read
from winnow.harness.data.document import Document
from winnow.harness.data.pool import Pool

FRAMES = 32
MINUTE = 60
CODECS = {
    "H.264": ("mp4", "-c:v libx264 -preset veryfast -crf 26 -g 125 -bf 3"),
    "HEVC": ("mp4", "-c:v libx265 -preset ultrafast -crf 28 -x265-params log-level=error:keyint=125"),
    "VP9": ("webm", "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -b:v 1500k -g 125"),
    "AV1": ("mp4", "-c:v libsvtav1 -preset 12 -crf 40 -g 125"),
}


def ffmpeg(words: str, path: Path) -> Path:
    """Make a file, unless it is there."""
    if not path.exists():
        subprocess.run(["ffmpeg", "-v", "error", "-y", *words.split(), path], check=True, stderr=subprocess.DEVNULL)
    return path


def film(folder: Path, codec: str, minutes: int) -> Path:
    """A video of 720p at 25 frames a second: a third of a minute, encoded once and repeated by stream copy."""
    ending, how = CODECS[codec]
    source = "-f lavfi -i mandelbrot=s=1280x720:r=25 -t 20 -pix_fmt yuv420p"
    short = ffmpeg(f"{source} {how}", folder / f"{codec}.{ending}")
    return ffmpeg(f"-stream_loop {3 * minutes - 1} -i {short} -c copy", folder / f"{codec}_{minutes}.{ending}")


def with_decord(path: Path) -> None:
    """The default reader until now."""
    import decord
    import numpy as np

    decord.logging.set_level(decord.logging.QUIET)
    reader = decord.VideoReader(str(path), num_threads=1)
    reader.get_batch(np.linspace(0, len(reader) - 1, FRAMES, dtype=int)).asnumpy()


def with_av_counting(path: Path) -> None:
    """PyAV as it was used until now: all frames up to the last one."""
    import av
    import numpy as np

    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        total = stream.frames or sum(1 for _ in container.decode(stream))
        container.seek(0)
        asked = set(np.linspace(0, total - 1, FRAMES, dtype=int).tolist())
        for number, frame in enumerate(container.decode(stream)):
            if number in asked:
                frame.to_ndarray(format="rgb24")


def with_lmms_eval(path: Path) -> None:
    """What lmms-eval's LLaVA-OneVision wrapper calls, ``Llava_OneVision.load_video``; it uses nothing of its object."""
    from lmms_eval.models.simple.llava_onevision import Llava_OneVision

    Llava_OneVision.load_video(None, str(path), FRAMES)


def ours(path: Path) -> None:
    """The reader of a run."""
    read(path, FRAMES)


def seconds(work: Callable[[Path], None], path: Path) -> float:
    """Seconds of one processor, as others share this machine."""
    started = time.process_time()
    work(path)
    return time.process_time() - started


def beside_lmms_eval(path: Path, now: float) -> str:
    """The ratio to lmms-eval's loader; decord fails on some files, and on some with many threads only."""
    try:
        return f"{now / seconds(with_lmms_eval, path):.2f}"
    except Exception as error:  # decord's own class
        return f"fails ({type(error).__name__})"


def readers(folder: Path, lengths: Sequence[int], rival: bool) -> Iterator[tuple[str, ...]]:
    """The rows of the table of readers."""
    whole = [0.0, 0.0]
    for codec in CODECS:
        for minutes in lengths:
            path = film(folder, codec, minutes)
            before = seconds(with_av_counting if codec == "AV1" else with_decord, path)
            now = seconds(ours, path)
            name = "PyAV, counting" if codec == "AV1" else "decord"
            other = beside_lmms_eval(path, now) if rival else ""
            yield codec, f"{minutes} min", name, f"{before:.2f}", f"{now:.2f}", f"{now / before:.2f}", other
            if codec != "AV1":
                whole = [whole[0] + before, whole[1] + now]
    yield "sum without AV1", "", "decord", f"{whole[0]:.2f}", f"{whole[1]:.2f}", f"{whole[1] / whole[0]:.2f}", ""


def walk(paths: Sequence[Path], workers: int, questions: int, sleep: float) -> tuple[float, float]:
    """Ask some questions about each video of a model that sleeps; seconds by the clock, and waited for media."""
    documents = [
        Document("bench", place, "?", lambda path=path: [str(path)], {}, (), None, "")  # type: ignore[misc]
        for place, path in enumerate(path for path in paths for _ in range(questions))
    ]
    spent = Spent()
    pool, started = Pool(workers, spent=spent), time.perf_counter()
    ahead = Ahead(pool, documents, FRAMES)
    for document in documents:
        with spent.on("wait"):
            (path,) = ahead.visuals(document)
            ahead.sample(Path(path), FRAMES, None)
            ahead.done(document)
        time.sleep(sleep)
    wall = time.perf_counter() - started
    pool.close()
    return wall, spent.now()["wait"]


def runs(folder: Path, count: int) -> Iterator[tuple[str, ...]]:
    """The rows of the table of runs: the model sleeps as long as decoding took in line."""
    source = film(folder, "H.264", 1)
    paths = [folder / f"run_{number:02d}.mp4" for number in range(count)]
    for path in paths:
        if not path.exists():
            shutil.copy(source, path)
    in_line, _ = walk(paths, 0, 1, 0.0)
    for questions in (1, 3):
        sleep = in_line / count / questions
        before, after = walk(paths, 0, questions, sleep), walk(paths, 1, questions, sleep)
        told = (f"{before[0]:.1f}", f"{after[0]:.1f}", f"{after[0] / before[0]:.2f}", f"{after[1]:.1f}")
        yield f"{count} videos, {questions} question{'s' * (questions > 1)} each", *told


def media(given: argparse.Namespace) -> None:
    """Print both tables."""
    if shutil.which("ffmpeg") is None:
        print("skipped: ffmpeg is not installed (Debian: apt install ffmpeg)")
        return
    os.environ["WINNOW_FRAMES_GB"] = "0"
    with tempfile.TemporaryDirectory() as made:
        folder = given.folder or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        found = Table("codec", "length", "before", "before, s", "now, s", "ratio", "now / lmms-eval")
        for row in readers(folder, given.minutes, given.rival):
            found.add_row(*row)
        Console(width=110).print(found)
        found = Table("run", "in line, s", "one process ahead, s", "ratio", "waited, s")
        for row in runs(folder, given.videos):
            found.add_row(*row)
        Console(width=110).print(found)


def main() -> None:
    """Run a subcommand."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("media", help="decoding videos, alone and ahead of a model")
    one.add_argument("--folder", type=Path, help="where the videos are made, and kept")
    one.add_argument("--minutes", type=int, nargs="+", default=[1, 10], help="their lengths")
    one.add_argument("--videos", type=int, default=24)
    one.add_argument("--rival", action="store_true", help="lmms-eval's own loader, too")
    one.set_defaults(run=media)
    given = parser.parse_args()
    given.run(given)


if __name__ == "__main__":
    main()
