"""Readers of videos alone: seconds of one processor for the same frames."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from scripts.benches.films import film
from winnow.harness.data.decoders import read
from winnow.harness.data.video.by_av import counting
from winnow.harness.data.video.clip import private
from winnow.harness.data.video.plan import make_plan

FRAMES = 32


def with_decord(path: Path) -> None:
    """The default reader of version 0.1."""
    import decord

    decord.logging.set_level(decord.logging.QUIET)
    reader = decord.VideoReader(str(path), num_threads=1)
    reader.get_batch(np.linspace(0, len(reader) - 1, FRAMES, dtype=int)).asnumpy()


def with_av_counting(path: Path) -> None:
    """PyAV as version 0.1 used it: all frames up to the last one."""
    import av

    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        total = stream.frames or sum(1 for _ in container.decode(stream))
        container.seek(0)
        asked = set(np.linspace(0, total - 1, FRAMES, dtype=int).tolist())
        for number, frame in enumerate(container.decode(stream)):
            if number in asked:
                frame.to_ndarray(format="rgb24")


def ours(path: Path) -> None:
    """The reader of a run."""
    read(path, FRAMES)


def with_lmms_eval(path: Path) -> None:
    """What lmms-eval's LLaVA-OneVision wrapper calls, ``Llava_OneVision.load_video``; it uses nothing of its object."""
    from lmms_eval.models.simple.llava_onevision import Llava_OneVision

    Llava_OneVision.load_video(None, str(path), FRAMES)


def seconds(work: Callable[[Path], None], path: Path) -> float:
    """Seconds of the processor, as others share this machine."""
    started = time.process_time()
    work(path)
    return time.process_time() - started


def exact(path: Path) -> str:
    """Whether the frames are those of the full decode."""
    told = read(path, FRAMES).frames
    return "yes" if np.array_equal(told, counting(make_plan(path), FRAMES, None, private).frames) else "NO"


def rows(folder: Path, codecs: Sequence[str], lengths: Sequence[int], rival: bool) -> Iterator[tuple[str, ...]]:
    """The rows of the table; the one before and ours take turns, and the shorter of two times counts."""
    whole = [0.0, 0.0]
    for codec in codecs:
        rule, name = (with_av_counting, "PyAV, counting") if codec == "AV1" else (with_decord, "decord")
        for minutes in lengths:
            path = film(folder, codec, minutes)
            times = [(seconds(rule, path), seconds(ours, path)) for _ in range(2 if minutes < 10 else 1)]
            before, now = (min(column) for column in zip(*times, strict=True))
            told = f"{now / before:.2f}"
            checked = exact(path) if minutes == min(lengths) else ""
            yield codec, f"{minutes} min", name, f"{before:.2f}", f"{now:.2f}", told, checked, _rival(path, now, rival)
            if codec != "AV1":
                whole = [whole[0] + before, whole[1] + now]
    if whole[0]:
        yield (
            "sum without AV1",
            "",
            "decord",
            f"{whole[0]:.2f}",
            f"{whole[1]:.2f}",
            f"{whole[1] / whole[0]:.2f}",
            "",
            "",
        )


def _rival(path: Path, now: float, asked: bool) -> str:
    """The ratio to lmms-eval's loader; decord fails on some files, and on some with many threads only."""
    if not asked:
        return ""
    try:
        return f"{now / seconds(with_lmms_eval, path):.2f}"
    except Exception as error:  # decord's own class
        return f"fails ({type(error).__name__})"
