"""Odd videos decode, bad ones are named, none hangs a run, and what was decoded is kept on disk."""

import errno
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import numpy as np
import pytest

from winnow.harness.data import framecache
from winnow.harness.data.decoders import DECODERS, by_av, by_decord, chosen
from winnow.harness.data.decoding import Decoder, patience
from winnow.harness.data.framecache import FrameCache, current, key_of
from winnow.harness.data.media import forget, sample_video
from winnow.reducers.core.errors import WinnowError

IDENTITY = bytes.fromhex("00010000" + "00000000" * 3 + "00010000" + "00000000" * 3 + "40000000")
TURNED = bytes.fromhex("00000000" + "00010000" + "00000000" + "ffff0000" + "00000000" * 4 + "40000000")


def write(path: Path, count: int, size: tuple[int, int] = (32, 64), times: list[int] | None = None) -> Path:
    """A video whose frame n is grey 5 n, at the given times (in tenths of a second)."""
    with av.open(str(path), "w") as container:
        options = {"crf": "4", "preset": "ultrafast", "threads": "1"}
        stream = container.add_stream("libx264", rate=10, options=options)
        stream.height, stream.width, stream.pix_fmt = *size, "yuv444p"
        for number in range(count):
            image = np.full((*size, 3), 5 * number % 250, np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts = times[number] if times else number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def greys(frames: np.ndarray) -> list[int]:
    return [round(float(frame.mean()) / 5) for frame in frames]


@pytest.mark.parametrize("read", [by_decord, by_av])
def test_frames_are_at_the_papers_places(tmp_path: Path, read: object) -> None:
    path = write(tmp_path / "a.mp4", 20)
    frames, rate = read(path, 6, None)  # type: ignore[operator]
    assert greys(frames) == [0, 3, 7, 11, 15, 19]
    assert rate == pytest.approx(10 * 5 / 19, rel=0.01)
    assert greys(read(path, 3, 9)[0]) == [0, 4, 9]  # type: ignore[operator]


@pytest.mark.parametrize("read", [by_decord, by_av])
def test_odd_videos(tmp_path: Path, read: object) -> None:
    """Uneven times, odd sizes, a single frame, and more frames asked for than there are."""
    uneven = write(tmp_path / "vfr.mp4", 8, times=[0, 1, 2, 9, 10, 30, 31, 90])
    assert greys(read(uneven, 8, None)[0]) == list(range(8))  # type: ignore[operator]
    odd = read(write(tmp_path / "odd.mp4", 3, size=(37, 61)), 2, None)[0]  # type: ignore[operator]
    assert odd.shape == (2, 37, 61, 3)
    single = read(write(tmp_path / "one.mp4", 1), 4, None)[0]  # type: ignore[operator]
    assert greys(single) == [0, 0, 0, 0]


def test_rotation_flag_and_an_hour(tmp_path: Path) -> None:
    """A rotation flag changes no pixel order: frames come as they are stored, like in the papers' loaders."""
    path = write(tmp_path / "turned.mp4", 4)
    content = path.read_bytes()
    assert IDENTITY in content
    path.write_bytes(content.replace(IDENTITY, TURNED))
    assert {frames.shape for frames, _ in (by_decord(path, 2, None), by_av(path, 2, None))} == {(2, 32, 64, 3)}
    hour = write(tmp_path / "hour.mp4", 60, times=[600 * n for n in range(60)])
    assert greys(by_decord(hour, 4, None)[0]) == [0, 19, 39, 9]  # grey 5 * 59 wraps


def test_file_that_hangs_the_decoder_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe, good = tmp_path / "pipe.mp4", write(tmp_path / "a.mp4", 4)
    os.mkfifo(pipe)
    decoder = Decoder()
    assert greys(decoder.decode(good, 2, None)[0]) == [0, 3]
    monkeypatch.setenv("WINNOW_DECODE_SECONDS", "0.3")
    with pytest.raises(WinnowError, match=r"pipe\.mp4 cannot be decoded \(no end after 0\.3 s\): download it again"):
        decoder.decode(pipe, 2, None)
    monkeypatch.delenv("WINNOW_DECODE_SECONDS")
    assert greys(decoder.decode(good, 2, None)[0]) == [0, 3]
    decoder.stop()


def test_decoder_that_dies_is_started_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good, decoder = write(tmp_path / "a.mp4", 4), Decoder()
    (tmp_path / "bad.mp4").write_bytes(b"x" * 999)
    with pytest.raises(WinnowError, match=r"bad\.mp4 cannot be decoded \(\w+: .*truncated or no video"):
        decoder.decode(tmp_path / "bad.mp4", 2, None)
    process = decoder._start()
    process.kill()
    monkeypatch.setattr(process, "poll", lambda: None)
    with pytest.raises(WinnowError, match="the decoder crashed"):
        decoder.decode(good, 2, None)
    assert greys(decoder.decode(good, 2, None)[0]) == [0, 3]
    decoder.stop()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FrameCache:
    monkeypatch.setenv("WINNOW_CACHE", str(tmp_path / "cache"))
    forget()
    return current()


def test_frames_are_kept_on_disk(tmp_path: Path, cache: FrameCache, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.mp4", 6)
    first, rate = sample_video(path, 3)
    monkeypatch.setattr("winnow.harness.data.media.decoder", lambda: pytest.fail("it was decoded again"))
    forget()
    again, same = sample_video(path.rename(tmp_path / "moved.mp4"), 3)
    assert (again == first).all() and rate == same
    assert (cache.hits, cache.misses) == (1, 1)


def test_damaged_entry_is_rebuilt(tmp_path: Path, cache: FrameCache) -> None:
    path = write(tmp_path / "a.mp4", 6)
    first = sample_video(path, 3)[0]
    (entry,) = cache.folder.glob("*/*.frames")
    content = bytearray(entry.read_bytes())
    content[-1] ^= 1
    entry.write_bytes(content)
    forget()
    assert (sample_video(path, 3)[0] == first).all()
    assert (cache.hits, cache.misses) == (0, 2)
    assert entry.read_bytes()[-1] == content[-1] ^ 1
    entry.write_bytes(b"no json")
    assert cache.get(entry.stem) is None and not entry.exists()


def test_full_disk_ends_caching_not_the_run(
    tmp_path: Path, cache: FrameCache, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(framecache.files, "write", full)
    for name in ("a.mp4", "b.mp4"):
        assert len(sample_video(write(tmp_path / name, 3), 2)[0]) == 2
    said = capfd.readouterr().err
    assert said.count("decoded frames are not kept: cannot write into") == 1 and "No space left" in said


def test_budget_drops_what_was_used_longest_ago(tmp_path: Path) -> None:
    frames = np.zeros((1, 10, 10, 3), np.uint8)
    cache = FrameCache(tmp_path, 1500)
    for number, key in enumerate(("aa", "bb", "cc")):
        cache.put(key, (frames, 1.0))
        os.utime(tmp_path / key / f"{key}.frames", (number, number))
    assert cache.get("aa") is not None  # which makes it the newest
    cache.put("dd", (frames, 1.0))
    assert [cache.get(key) is None for key in ("aa", "bb", "cc", "dd")] == [False, True, False, False]
    cache.put("ee", (np.zeros((9, 10, 10, 3), np.uint8), 1.0))
    assert cache.get("ee") is None


def test_several_at_once(tmp_path: Path) -> None:
    def work(number: int) -> bool:
        cache, key = FrameCache(tmp_path, 10_000), f"{number % 3:02d}"
        cache.put(key, (np.full((1, 8, 8, 3), number % 3, np.uint8), 1.0))
        found = cache.get(key)
        return found is not None and bool((found[0] == number % 3).all())

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(60)))


def test_key_follows_content_and_settings(tmp_path: Path) -> None:
    one, two = write(tmp_path / "a.mp4", 3), write(tmp_path / "b.mp4", 4)
    assert (
        len({key_of(one, "decord", 8), key_of(one, "av", 8), key_of(one, "decord", 9), key_of(two, "decord", 8)}) == 4
    )


@pytest.mark.parametrize(
    ("name", "value", "call"),
    [
        ("WINNOW_DECODER", "vlc", chosen),
        ("WINNOW_DECODE_SECONDS", "soon", patience),
        ("WINNOW_DECODE_SECONDS", "0", patience),
        ("WINNOW_FRAMES_GB", "many", current),
        ("WINNOW_FRAMES_GB", "-1", current),
    ],
)
def test_settings_that_make_no_sense(monkeypatch: pytest.MonkeyPatch, name: str, value: str, call: object) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(WinnowError, match=f"{name}={value} is not "):
        call()  # type: ignore[operator]


def test_every_decoder_has_a_name() -> None:
    assert json.dumps(list(DECODERS)) == '["decord", "av", "torchcodec"]'
