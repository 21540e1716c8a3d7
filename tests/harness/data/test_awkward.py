"""Awkward but valid files give the frames of FFmpeg's own full decode; those that are damaged say so.

The files of ``awkward/`` were made by ``scripts/make_media.py``, four seconds each; ``expected.npz`` holds every fourth
green pixel of eight frames as the program ffmpeg decodes them from the first to the last.
"""

from pathlib import Path

import numpy as np
import pytest

from winnow.harness.data.decoders import read
from winnow.harness.data.video.by_av import counting, seeking
from winnow.harness.data.video.clip import private
from winnow.harness.data.video.plan import make_plan
from winnow.reducers.core.errors import WinnowError

FOLDER = Path(__file__).parent / "awkward"
NAMES = sorted(path.name for path in FOLDER.iterdir() if path.suffix != ".npz")
EXPECTED = dict(np.load(FOLDER / "expected.npz"))
BY_TIME = {"cut_h264.mp4", "cut_hevc.mov", "h264_opengop.mkv", "hevc_opengop.mp4", "av1.mp4", "live_vp9.webm"}


def far(frames: np.ndarray, name: str) -> float:
    """Mean difference in grey levels; the nearest other frame of these files is 0.4 away."""
    return float(abs(frames[:, 1::4, 1::4, 1].astype(int) - EXPECTED[name]).mean())


def test_there_are_enough() -> None:
    assert len(NAMES) >= 15 and {name for name in EXPECTED if " " not in name} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_frames_of_awkward_files(name: str) -> None:
    clip = read(FOLDER / name, 8)
    assert clip.indices == EXPECTED[f"{name} indices"].tolist()
    assert far(clip.frames, name) < 0.2
    assert (name in BY_TIME) <= (clip.reader == "av, by time")
    assert clip.seconds == sorted(clip.seconds) and clip.rate == pytest.approx(7 / clip.seconds[-1])


@pytest.mark.parametrize("name", sorted(BY_TIME))
def test_both_ways_of_reading_agree(name: str) -> None:
    plan = make_plan(FOLDER / name)
    by_time, all_of_them = seeking(plan, 8, None, private), counting(plan, 8, None, private)
    assert plan.exact and (by_time.frames == all_of_them.frames).all()
    assert by_time.seconds == pytest.approx(all_of_them.seconds, abs=0.002)


@pytest.mark.parametrize("name", ["cut_h264.mp4", "h264_opengop.mkv", "h264_intra.mkv", "h264.avi", "two_streams.mkv"])
def test_decord_is_never_believed_where_it_counts_otherwise(name: str) -> None:
    with pytest.raises(WinnowError, match=r"cannot be decoded \(MismatchError: .*unset WINNOW_DECODER"):
        read(FOLDER / name, 8, reader="decord")


@pytest.mark.parametrize("name", ["h264_opengop.mkv", "h264.avi", "live_vp9.webm", "h264.ts", "h264_709.mp4"])
def test_damage_is_told_and_can_be_accepted(tmp_path: Path, name: str) -> None:
    """Cut off, or with a hole of zeros in the middle."""
    content = (FOLDER / name).read_bytes()
    middle, hole = len(content) // 2 | 1, len(content) // 8
    spoilt = {"cut": content[:middle], "hole": content[:middle] + bytes(hole) + content[middle + hole :]}
    if name == "h264_709.mp4" or name.startswith("live"):  # without its index or length, nothing tells where it ends
        del spoilt["cut"]
    for kind, data in spoilt.items():
        path = tmp_path / f"{kind}_{name}"
        path.write_bytes(data)
        with pytest.raises(WinnowError, match=rf"{kind}_{name} (is damaged|cannot be decoded) \("):
            read(path, 8)
        accepted = read(path, 8, accept=True)
        assert len(accepted.frames) == 8 and accepted.damage
