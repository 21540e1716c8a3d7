"""Odd videos decode, bad ones are named, none hangs a run, and what was decoded is kept on disk."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import numpy as np
import pytest

from winnow.harness.data.decoders import DECODERS, chosen, read
from winnow.harness.data.decoding import Decoder, decoder, patience
from winnow.harness.data.framecache import FrameCache, current, key_of
from winnow.harness.data.media import forget, sample_video
from winnow.harness.data.video.clip import Clip
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


def clip_of(frames: np.ndarray) -> Clip:
    return Clip(frames, [0] * len(frames), [0.0] * len(frames), 1.0, "av")


def greys(frames: np.ndarray) -> list[int]:
    return [round(float(frame.mean()) / 5) for frame in frames]


@pytest.mark.parametrize("reader", ["decord", "av"])
def test_frames_are_at_the_papers_places(tmp_path: Path, reader: str) -> None:
    path = write(tmp_path / "a.mp4", 20)
    clip = read(path, 6, None, reader)
    assert greys(clip.frames) == [0, 3, 7, 11, 15, 19] and clip.indices == [0, 3, 7, 11, 15, 19]
    assert clip.rate == pytest.approx(10 * 5 / 19, rel=0.01)
    assert greys(read(path, 3, 9, reader).frames) == [0, 4, 9]


@pytest.mark.parametrize("reader", ["decord", "av"])
def test_odd_videos(tmp_path: Path, reader: str) -> None:
    """Uneven times, odd sizes, a single frame, and more frames asked for than there are."""
    uneven = read(write(tmp_path / "vfr.mp4", 8, times=[0, 1, 2, 9, 10, 30, 31, 90]), 8, None, reader)
    assert greys(uneven.frames) == list(range(8))
    assert uneven.seconds == pytest.approx([0, 0.1, 0.2, 0.9, 1, 3, 3.1, 9]) and uneven.rate == pytest.approx(7 / 9)
    odd = read(write(tmp_path / "odd.mp4", 3, size=(37, 61)), 2, None, reader).frames
    assert odd.shape == (2, 37, 61, 3)
    single = read(write(tmp_path / "one.mp4", 1), 4, None, reader)
    assert greys(single.frames) == [0, 0, 0, 0] and single.rate > 0


def test_rates_are_those_of_the_frames_delivered(tmp_path: Path) -> None:
    """Half of the frames in the first second of ten: the mean rate of the file says nothing of those asked for."""
    path = write(tmp_path / "vfr.mp4", 20, times=[*range(10), *range(10, 110, 10)])
    clip = read(path, 4)
    assert clip.indices == [0, 6, 12, 19] and clip.rate == pytest.approx(3 / 10)


@pytest.mark.parametrize("reader", ["decord", "av"])
def test_display_matrix_is_followed_on_every_path(tmp_path: Path, reader: str) -> None:
    """As players show it; the stream's own matrix is turned, and the film's is left alone."""
    path = write(tmp_path / "turned.mp4", 4)
    content = path.read_bytes()
    place = content.rindex(IDENTITY)
    assert content.count(IDENTITY) == 2
    path.write_bytes(content[:place] + TURNED + content[place + len(IDENTITY) :])
    assert read(path, 2, None, reader).frames.shape == (2, 64, 32, 3)


def test_hour(tmp_path: Path) -> None:
    hour = write(tmp_path / "hour.mp4", 60, times=[600 * n for n in range(60)])
    assert greys(read(hour, 4).frames) == [0, 19, 39, 9]  # grey 5 * 59 wraps


def test_file_that_hangs_the_decoder_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe, good = tmp_path / "pipe.mp4", write(tmp_path / "a.mp4", 4)
    os.mkfifo(pipe)
    decoder = Decoder()
    assert greys(decoder.decode(good, 2, None).frames) == [0, 3]
    monkeypatch.setenv("WINNOW_DECODE_SECONDS", "0.3")
    with pytest.raises(WinnowError, match=r"pipe\.mp4 cannot be decoded \(no end after 0\.3 s\): download it again"):
        decoder.decode(pipe, 2, None)
    monkeypatch.delenv("WINNOW_DECODE_SECONDS")
    assert greys(decoder.decode(good, 2, None).frames) == [0, 3]
    decoder.stop()


def test_sound_alone_is_no_damaged_video(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000, layout="mono")
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        sound.rate = 8000
        container.mux(stream.encode(sound))
        container.mux(stream.encode())
    with pytest.raises(WinnowError) as told:
        read(path, 2)
    assert str(told.value) == f"video {path} has no video stream (audio alone): give a file with pictures"


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
    assert greys(decoder.decode(good, 2, None).frames) == [0, 3]
    decoder.stop()


def noisy(path: Path, codec: str, size: tuple[int, int], kind: str, rate: int, frames: int = 20) -> None:
    noise, (height, width) = np.random.default_rng(0), size
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width, stream.pix_fmt = height, width, kind
        for _ in range(frames):
            frame = av.VideoFrame.from_ndarray(noise.integers(0, 255, (*size, 3), dtype=np.uint8), format="rgb24")
            container.mux(stream.encode(frame.reformat(format=kind)))
        container.mux(stream.encode())


@pytest.mark.parametrize(
    ("ending", "codec", "size", "kind", "rate"),
    [("dv", "dvvideo", (576, 720), "yuv420p", 25), ("roq", "roqvideo", (64, 64), "yuvj444p", 30)],
)
def test_cut_frames_of_known_length_are_told(
    tmp_path: Path, ending: str, codec: str, size: tuple[int, int], kind: str, rate: int
) -> None:
    """The file is whole at one byte more than it is cut at, wherever that is."""
    path = tmp_path / f"a.{ending}"
    noisy(path, codec, size, kind, rate, 4)
    assert read(path, 4).indices == [0, 1, 2, 3]
    content = path.read_bytes()
    for cut in (1, 7, 9, len(content) // 3):
        path.write_bytes(content[:-cut])
        with pytest.raises(WinnowError, match=rf"a\.{ending} is damaged"):
            read(path, 4)


@pytest.mark.parametrize(("ending", "codec"), [("ogv", "libvpx"), ("gif", "gif"), ("ivf", "libvpx")])
def test_cut_and_holes_are_told_of_further_containers(tmp_path: Path, ending: str, codec: str) -> None:
    path = tmp_path / f"a.{ending}"
    noisy(path, codec, (64, 64), "rgb8" if codec == "gif" else "yuv420p", 10)
    assert read(path, 4).indices == [0, 6, 12, 19]
    content = path.read_bytes()
    middle, hole = len(content) // 2, len(content) // 8
    spoilt = [content[:middle]] + [content[:middle] + bytes(hole) + content[middle + hole :]] * (ending != "ivf")
    for data in spoilt:
        path.write_bytes(data)
        with pytest.raises(WinnowError, match=rf"a\.{ending} (is damaged|cannot be decoded)"):
            read(path, 4)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FrameCache:
    monkeypatch.setenv("WINNOW_CACHE", str(tmp_path / "cache"))
    forget()
    return current()


def test_frames_are_kept_on_disk(tmp_path: Path, cache: FrameCache) -> None:
    path = write(tmp_path / "a.mp4", 6)
    first, before = sample_video(path, 3), decoder().kept
    forget()
    again = sample_video(path.rename(tmp_path / "moved.mp4"), 3)
    assert (again.frames == first.frames).all() and again.facts == first.facts
    assert decoder().kept == before + 1


def test_damaged_entry_is_rebuilt(tmp_path: Path, cache: FrameCache) -> None:
    path = write(tmp_path / "a.mp4", 6)
    first, before = sample_video(path, 3).frames, decoder().kept
    (entry,) = cache.folder.glob("*/*.frames")
    content = bytearray(entry.read_bytes())
    content[-1] ^= 1
    entry.write_bytes(content)
    forget()
    assert (sample_video(path, 3).frames == first).all()
    assert decoder().kept == before
    assert entry.read_bytes()[-1] == content[-1] ^ 1
    entry.write_bytes(b"no json")
    assert cache.get(entry.stem) is None and not entry.exists()


def test_full_disk_ends_caching_not_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A file stands where the folder should, as a full disk cannot be had here."""
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "frames").write_text("in the way")
    monkeypatch.setenv("WINNOW_CACHE", str(tmp_path / "cache"))
    forget()
    for name in ("a.mp4", "b.mp4"):
        assert len(sample_video(write(tmp_path / name, 3), 2).frames) == 2
    said = capfd.readouterr().err
    assert said.count("decoded frames are not kept: cannot write into") == 1


def test_frames_come_back_bit_by_bit_and_smaller(tmp_path: Path) -> None:
    """Of odd sizes too; the entry of smooth content is far smaller than its frames."""
    cache, rising = FrameCache(tmp_path, 1e9), np.linspace(0, 255, 3 * 61 * 67 * 3).astype(np.uint8)
    noise = np.random.default_rng(0).integers(0, 255, (3, 61, 67, 3), dtype=np.uint8)
    for key, frames in (("aa", rising.reshape(3, 61, 67, 3)), ("bb", noise)):
        cache.put(key, clip_of(frames))
        found = cache.get(key)
        assert found is not None and (found.frames == frames).all() and found.rate == 1.0
    large = np.random.default_rng(1).integers(0, 8, (1, 1200, 1600, 3), dtype=np.uint8)  # goes in pieces
    cache.put("cc", clip_of(large))
    again = cache.get("cc")
    assert again is not None and (again.frames == large).all()
    assert (tmp_path / "aa" / "aa.frames").stat().st_size < rising.nbytes / 4


def test_file_that_was_mended_is_read_anew(tmp_path: Path, cache: FrameCache) -> None:
    """Edited far from both ends, of the same size and with its time of change set back."""
    path = write(tmp_path / "a.mp4", 6)
    content, state = bytearray(path.read_bytes()), path.stat()
    first = key_of(path)
    content[len(content) // 3] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert path.stat().st_size == state.st_size and key_of(path) != first


def test_budget_drops_what_was_used_longest_ago(tmp_path: Path) -> None:
    frames = clip_of(np.zeros((1, 10, 10, 3), np.uint8))
    cache = FrameCache(tmp_path, 1e9)
    cache.put("aa", frames)
    cache.budget = 3.5 * (tmp_path / "aa" / "aa.frames").stat().st_size
    for number, key in enumerate(("aa", "bb", "cc")):
        cache.put(key, frames)
        os.utime(tmp_path / key / f"{key}.frames", (number, number))
    assert cache.get("aa") is not None  # which makes it the newest
    cache.put("dd", frames)
    assert [cache.get(key) is None for key in ("aa", "bb", "cc", "dd")] == [False, True, False, False]
    noise = np.random.default_rng(0).integers(0, 255, (9, 64, 64, 3), dtype=np.uint8)
    cache.put("ee", clip_of(noise))
    assert cache.get("ee") is None


def test_several_at_once(tmp_path: Path) -> None:
    def work(number: int) -> bool:
        cache, key = FrameCache(tmp_path, 100_000), f"{number % 3:02d}"
        cache.put(key, clip_of(np.full((1, 8, 8, 3), number % 3, np.uint8)))
        found = cache.get(key)
        return found is not None and bool((found.frames == number % 3).all())

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
    assert list(DECODERS) == ["auto", "av", "decord", "torchcodec"]
