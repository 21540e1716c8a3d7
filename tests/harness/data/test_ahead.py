"""Videos are decoded ahead of the model, in order, within bounds; a bad file costs itself alone."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from threading import Lock

import numpy as np
import pytest

from winnow.harness.data.ahead import Ahead
from winnow.harness.data.document import Document
from winnow.harness.data.pool import CORES, Pool, own_cores
from winnow.harness.data.video.clip import Clip
from winnow.reducers.core.errors import WinnowError

FILM = Path(__file__).parent / "awkward" / "cut_h264.mp4"


def document(number: int, path: Path) -> Document:
    return Document("t", number, "?", lambda: [str(path)], {}, (), None, "")


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{number:02d}.mp4" for number in range(24)]
    for path in paths:
        path.write_bytes(b"x")
    return paths


class Slow:
    """Decodes by sleeping; a frame says of which file it is."""

    def __init__(self, seconds: Sequence[float]) -> None:
        self.seconds, self.lock = seconds, Lock()
        self.begun: list[int] = []
        self.used = self.most = 0

    def __call__(self, path: Path, frames: int, until: int | None) -> Clip:
        number = int(path.stem)
        with self.lock:
            self.begun.append(number)
            self.used += 1
            self.most = max(self.most, self.used)
        time.sleep(self.seconds[number % len(self.seconds)])
        with self.lock:
            self.used -= 1
        return Clip(np.full((frames, 4, 4, 3), number, np.uint8), [0] * frames, [0.0] * frames, 1.0, "slow")


def walk(ahead: Ahead, documents: Sequence[Document], model: float = 0.0) -> list[int]:
    seen = []
    for one in documents:
        (path,) = ahead.visuals(one)
        seen.append(int(ahead.sample(Path(path), ahead.frames, None).frames[0, 0, 0, 0]))
        ahead.done(one)
        time.sleep(model)
    return seen


def test_sixteen_decoders_keep_a_model_busy(files: list[Path]) -> None:
    """Far from one after the other, on a busy machine too; `bench.py media --parts sleepers` holds it to a tenth."""
    seconds = [0.2 + 0.02 * (n * 7 % 11) for n in range(96)]
    paths = [files[0].with_name(f"{n:02d}.mp4") for n in range(96)]
    for path in paths:
        path.write_bytes(b"x")
    documents = [document(n, path) for n, path in enumerate(paths)]
    slow, pool, started = Slow(seconds), Pool(16), time.perf_counter()
    assert walk(Ahead(pool, documents, 2, decode=slow), documents, 0.02) == list(range(96))
    wall = time.perf_counter() - started
    pool.close()
    assert slow.most > 8 and wall < sum(seconds) / 3


def test_no_worker_decodes_when_asked_and_no_sooner(files: list[Path]) -> None:
    documents, slow, pool = [document(n, path) for n, path in enumerate(files)], Slow([0.0]), Pool(0)
    ahead = Ahead(pool, documents, 2, decode=slow)
    assert walk(ahead, documents[:3]) == [0, 1, 2] and slow.begun == [0, 1, 2] and not ahead.room(1)
    pool.close()


def test_questions_about_one_video_share_it_and_others_are_passed_over(files: list[Path]) -> None:
    documents, slow, pool = [document(n, files[n // 3]) for n in range(24)], Slow([0.0]), Pool(2)
    ahead = Ahead(pool, documents, 2, decode=slow)
    assert walk(ahead, documents[:9]) == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert walk(ahead, documents[18:]) == [6, 6, 6, 7, 7, 7]  # those between were another's
    assert sorted(slow.begun)[:3] == [0, 1, 2] and slow.begun.count(6) == slow.begun.count(7) == 1
    pool.close()


def test_memory_bounds_how_far_ahead(files: list[Path]) -> None:
    """No more waits than has room, however slow the model is."""
    documents, slow = [document(n, path) for n, path in enumerate(files)], Slow([0.0])
    pool = Pool(4, ahead=3 * 2 * 4 * 4 * 3)
    ahead = Ahead(pool, documents, 2, decode=slow)
    for done, one in enumerate(documents):
        walk(ahead, [one])
        time.sleep(0.01)
        assert len(slow.begun) <= done + 1 + 3
    assert ahead.room(3) and not ahead.room(4)
    pool.close()


def test_file_that_fails_is_asked_once_and_costs_itself_alone(files: list[Path]) -> None:
    calls: list[str] = []

    def decode(path: Path, frames: int, until: int | None) -> Clip:
        calls.append(path.stem)
        if path.stem == "01":
            raise WinnowError("no end after 1 s")
        return Slow([0.0])(path, frames, until)

    documents, pool = [document(n, files[n]) for n in (0, 1, 1, 1, 2)], Pool(1)
    documents[2] = document(2, files[1])
    ahead, failed = Ahead(pool, documents, 2, decode=decode), 0
    for one in documents:
        (path,) = ahead.visuals(one)
        try:
            ahead.sample(Path(path), 2, None)
        except WinnowError:
            failed += 1
    assert failed == 3 and sorted(calls) == ["00", "01", "02"]
    pool.close()


def test_processes_decode_and_end_with_the_pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINNOW_CACHE", str(tmp_path))
    documents, pool = [document(0, FILM), document(1, FILM)], Pool(1)
    ahead = Ahead(pool, documents, 4)
    for one in documents:
        ahead.visuals(one)
        assert ahead.sample(FILM, 4, None).indices == [0, 17, 34, 51]
    assert pool.counts == (1, 0) and pool.spent.seconds["decode"] > 0
    process = pool.decoders[0].process
    assert process is not None
    pool.close()
    assert process.poll() is not None


def test_closing_does_not_wait_for_a_file_that_hangs(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.mp4"
    os.mkfifo(pipe)
    pool = Pool(1)
    future = pool.threads.submit(pool.decode, pipe, 2, None)
    while pool.decoders[0].process is None:
        time.sleep(0.01)
    started = time.perf_counter()
    pool.close()
    assert time.perf_counter() - started < 5 and isinstance(future.exception(), WinnowError)


def test_decoding_process_is_light() -> None:
    heavy = "{'torch', 'transformers', 'datasets', 'scipy', 'pandas'}"
    program = f"import sys, winnow.harness.data.decode_worker; sys.exit(repr({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == "set()"


def test_workers_side_by_side_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CORES, raising=False)
    seen = own_cores()
    assert seen == len(os.sched_getaffinity(0))
    for given, cores in (("1", 1), ("0", 1), (str(seen + 5), seen), ("", seen)):
        monkeypatch.setenv(CORES, given)
        assert own_cores() == cores


class Pretended:
    """A process that decodes by sleeping."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.decoded, self.kept = seconds, 0, 0

    def decode(self, path: Path, frames: int, until: int | None, accept: bool) -> Clip:
        time.sleep(self.seconds)
        self.decoded += 1
        return Clip(np.zeros((1, 1, 1, 3), np.uint8), [0], [0.0], 1.0, "pretended")

    def end(self) -> None:
        """Nothing to end."""


@pytest.mark.parametrize(("seconds", "processes"), [(0.001, 1), (0.1, 3)])
def test_processes_are_started_where_they_are_worth_it(
    monkeypatch: pytest.MonkeyPatch, files: list[Path], seconds: float, processes: int
) -> None:
    """Small videos never wait long for the first process; larger ones get as many as there may be."""
    monkeypatch.setattr("winnow.harness.data.pool.Decoder", lambda: Pretended(seconds))
    monkeypatch.setattr("winnow.harness.data.pool.WORTH", 0.05)
    pool = Pool(3)
    for future in [pool.threads.submit(pool.decode, path, 1, None) for path in files[:9]]:
        future.result()
    pool.close()
    assert len(pool.decoders) == processes and pool.counts == (9, 0)
