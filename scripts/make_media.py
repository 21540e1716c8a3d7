"""Makes awkward but valid videos, and some that are damaged, with the program ffmpeg: what readers of videos trip over.

    python scripts/make_media.py FOLDER [--only WORD]

Each file's name begins with its kind; the damaged ones stand in ``damaged/``. Where ffmpeg is missing it says so and
makes nothing (Debian: ``apt install ffmpeg``). Encoders that this ffmpeg lacks are named and left out.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

X264 = "-c:v libx264 -preset veryfast -g 40 -crf 20"
X265 = "-c:v libx265 -preset ultrafast -crf 24 -x265-params log-level=error:keyint=40"
VP9 = "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 40 -b:v 300k"
ALTREF = "-deadline good -auto-alt-ref 1 -lag-in-frames 16 -g 80 -b:v 300k"
AV1 = "-c:v libsvtav1 -preset 12 -crf 40"
HD = "-colorspace bt709 -color_primaries bt709 -color_trc bt709"
MPEG4 = "-c:v mpeg4 -q:v 4 -g 40"

ENCODINGS: dict[str, tuple[str, str]] = {
    "h264": (f"{X264} -bf 2", "mp4 mov mkv avi ts flv mpg"),
    "h264_nob": (f"{X264} -bf 0", "mp4 mkv avi ts h264"),
    "h264_raw": (f"{X264} -bf 3", "h264"),
    "h264_pyramid": (f"{X264} -bf 8 -x264-params b-pyramid=normal:b-adapt=0", "mp4 mkv ts"),
    "h264_opengop": (f"{X264} -bf 3 -x264-params open-gop=1:b-adapt=0", "mp4 mkv ts"),
    "h264_intra": (f"{X264} -x264-params intra-refresh=1", "mp4 mkv ts"),
    "h264_ten": (f"{X264} -pix_fmt yuv420p10le", "mp4 mkv"),
    "h264_444": (f"{X264} -pix_fmt yuv444p", "mp4"),
    "h264_fields": (f"{X264} -flags +ilme+ildct -x264-params tff=1", "mp4 mkv ts"),
    "h264_one_key": (f"{X264} -g 9999", "mp4 mkv"),
    "h264_709": (f"{X264} -vf scale=out_color_matrix=bt709:out_range=tv {HD}", "mp4 mkv"),
    "h264_full": (f"{X264} -pix_fmt yuvj420p -color_range pc", "mp4 mkv"),
    "h264_fragments": (f"{X264} -bf 2 -movflags frag_keyframe+empty_moov", "mp4"),
    "h264_front": (f"{X264} -bf 2 -movflags +faststart", "mp4"),
    "h264_negative": (f"{X264} -bf 3 -movflags negative_cts_offsets", "mp4"),
    "hevc": (f"{X265}:open-gop=0", "mp4 mkv ts"),
    "hevc_opengop": (X265, "mp4 mkv ts mov"),
    "hevc_ten": (f"{X265} -pix_fmt yuv420p10le", "mp4 mkv"),
    "vp8": ("-c:v libvpx -deadline realtime -g 40 -b:v 300k", "webm mkv"),
    "vp8_altref": (f"-c:v libvpx {ALTREF} -cpu-used 4", "webm"),
    "vp9": (VP9, "webm mkv mp4"),
    "vp9_altref": (f"-c:v libvpx-vp9 {ALTREF} -cpu-used 5", "webm mp4"),
    "av1": (AV1, "mp4 mkv webm"),
    "mpeg4": (f"{MPEG4} -bf 0", "mp4 avi mkv"),
    "mpeg4_b": (f"{MPEG4} -bf 2", "mp4 avi mkv mov"),
    "xvid": ("-c:v libxvid -q:v 4 -g 40 -bf 2", "avi mp4"),
    "mpeg2": ("-c:v mpeg2video -q:v 4 -g 15 -bf 2", "mpg ts mkv mp4 avi"),
    "mpeg1": ("-c:v mpeg1video -q:v 4 -bf 2", "mpg mkv"),
    "wmv1": ("-c:v wmv1 -q:v 4", "wmv avi"),
    "wmv2": ("-c:v wmv2 -q:v 4", "wmv avi mkv"),
    "flv1": ("-c:v flv1 -q:v 4", "flv"),
    "theora": ("-c:v libtheora -q:v 6", "ogv mkv"),
    "mjpeg": ("-c:v mjpeg -q:v 4 -pix_fmt yuvj420p", "avi mov mkv"),
    "prores": ("-c:v prores_ks -profile:v 0", "mov"),
    "ffv1": ("-c:v ffv1", "mkv avi"),
    "gif": ("", "gif"),
    "h263": ("-c:v h263 -s 176x144 -q:v 4", "3gp avi"),
}  # fmt: skip
"""By kind: how it is encoded, and the containers that it goes into."""

SHAPES = {
    "odd_size": f"-vf scale=162:118 {X264} -pix_fmt yuv420p",
    "odd_pixels": f"-vf scale=161:117 {X264} -pix_fmt yuv444p",
    "tiny": f"-vf scale=24:16 {X264} -pix_fmt yuv420p",
    "single": f"-frames:v 1 {X264}",
    "three": f"-frames:v 3 {X264}",
    "anamorphic": f"-vf setsar=4/3 {X264}",
    "slow": f"-r 2 {X264}",
    "ntsc": f"-r 30000/1001 {X264}",
    "uneven": f"-vf select='not(mod(n\\,7))+not(mod(n\\,3))' -vsync vfr {X264}",
}
VIDEO = "-f lavfi -i testsrc2=s=160x120:r=25:d=10"
SOUND = "-f lavfi -i sine=d=10"


def ffmpeg(words: str, *paths: Path) -> bool:
    """Run ffmpeg; the paths fill the places ``{}`` among the words. Say whether it worked."""
    rest = iter(paths)
    given = [str(next(rest)) if word == "{}" else word.replace("'", "") for word in words.split()]
    found = subprocess.run(["ffmpeg", "-v", "error", "-y", *given], capture_output=True, text=True, check=False)
    return found.returncode == 0


def encoded(folder: Path) -> Iterator[tuple[Path, bool]]:
    """Every encoding in every container."""
    for kind, (how, containers) in ENCODINGS.items():
        for container in containers.split():
            path = folder / f"{kind}.{container}"
            pixels = "" if "pix_fmt" in how or kind in {"gif", "prores"} else "-pix_fmt yuv420p"
            yield path, ffmpeg(f"{VIDEO} {how} {pixels} {{}}", path)
    for kind, how in SHAPES.items():
        for container in ("mp4", "mkv", "webm") if kind == "uneven" else ("mp4",):
            words = how.replace(X264, VP9) if container == "webm" else how
            path = folder / f"shape_{kind}.{container}"
            yield path, ffmpeg(f"{VIDEO} {words} {'' if 'pix_fmt' in words else '-pix_fmt yuv420p'} {{}}", path)


def cut(folder: Path) -> Iterator[tuple[Path, bool]]:
    """Stream-copied cuts: they begin between key frames, at the front of which stands what is not to be shown."""
    for kind in ("h264", "h264_nob", "h264_opengop", "h264_intra", "hevc", "hevc_opengop", "vp9", "av1", "mpeg4_b"):
        for ending in ("mp4", "mov", "mkv", "ts"):
            source = next((path for end in (ending, "mp4", "mkv") if (path := folder / f"{kind}.{end}").exists()), None)
            if source and not (ending in {"ts", "mov"} and kind in {"vp9", "av1", "mpeg4_b"}):
                path = folder / f"cut_{kind}.{ending}"
                yield path, ffmpeg("-ss 3.37 -i {} -t 6 -c copy {}", source, path)
    sound, path = folder / "sound.mp4", folder / "cut_sound.mp4"
    yield sound, ffmpeg(f"{VIDEO} {SOUND} {X264} -pix_fmt yuv420p -c:a aac {{}}", sound)
    yield path, ffmpeg("-ss 3.37 -i {} -t 6 -c copy {}", sound, path)


def joined(folder: Path) -> Iterator[tuple[Path, bool]]:
    """Files whose shape is unusual: turned, with two streams, without a length, with sizes that change."""
    plain = folder / "h264.mp4"
    for angle in (90, 180, 270):
        path = folder / f"turned_{angle}.mp4"
        yield path, ffmpeg(f"-i {{}} -c copy -metadata:s:v rotate={angle} {{}}", plain, path)
    path = folder / "two_streams.mkv"
    two = f"{VIDEO} -f lavfi -i testsrc=s=160x120:r=25:d=10 -map 1 -map 0 {X264} -pix_fmt yuv420p"
    yield path, ffmpeg(f"{two} -disposition:v:0 0 -disposition:v:1 default {{}}", path)
    path = folder / "two_streams.mp4"
    yield path, ffmpeg(f"{two} {{}}", path)
    for codec, ending in (("h264", "mkv"), ("vp9", "webm"), ("vp9", "mkv")):
        path = folder / f"live_{codec}.{ending}"
        yield path, ffmpeg("-i {} -c copy -live 1 {}", folder / f"{codec}.{ending}", path)
    small, large = folder / "small.ts", folder / "large.ts"
    for place, size in ((small, "160x120"), (large, "320x240")):
        ffmpeg(f"-f lavfi -i testsrc2=s={size}:r=25:d=4 {X264} -pix_fmt yuv420p {{}}", place)
    path = folder / "sizes.ts"
    path.write_bytes(small.read_bytes() + large.read_bytes())
    yield path, True
    yield folder / "sizes.mkv", ffmpeg("-i {} -c copy {}", path, folder / "sizes.mkv")
    small.unlink()
    large.unlink()
    path = folder / "late_start.ts"
    path.write_bytes((folder / "h264.ts").read_bytes()[188 * 40 :])
    yield path, True
    path = folder / "shifted.mkv"
    yield path, ffmpeg("-itsoffset 7 -i {} -c copy {}", plain, path)
    path = folder / "cover.mp4"
    picture = folder / "cover.png"
    ffmpeg("-f lavfi -i testsrc=s=64x64 -frames:v 1 {}", picture)
    yield path, ffmpeg("-i {} -i {} -map 1 -map 0 -c copy -disposition:v:0 attached_pic {}", plain, picture, path)
    picture.unlink(missing_ok=True)


def damaged(folder: Path) -> Iterator[tuple[Path, bool]]:
    """Cut off in the middle, or with zeros in it."""
    place = folder / "damaged"
    place.mkdir(exist_ok=True)
    films = ("h264_front.mp4", "h264.mkv", "vp9.webm", "h264.avi", "mpeg4.avi", "h264.flv", "hevc.mkv", "av1.mkv")
    for name in (*films, "theora.ogv", "gif.gif"):
        data = (folder / name).read_bytes() if (folder / name).exists() else b""
        if data:
            middle, hole = len(data) // 2, len(data) // 10
            (place / f"half_{name}").write_bytes(data[:middle])
            yield place / f"half_{name}", True
            (place / f"hole_{name}").write_bytes(data[:middle] + bytes(hole) + data[middle + hole :])
            yield place / f"hole_{name}", True


def make(folder: Path, only: str = "") -> list[Path]:
    """Make all files whose names hold a word; return those that could be made."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for path, good in (pair for part in (encoded, cut, joined, damaged) for pair in part(folder)):
        if good and path.exists() and path.stat().st_size:
            made.append(path)
        else:
            path.unlink(missing_ok=True)
            print(f"this ffmpeg cannot make {path.name}")
    return [path for path in made if only in path.name]


def main() -> None:
    """Make the files, and say how many."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="", help="tell only of files whose names hold this")
    given = parser.parse_args()
    if shutil.which("ffmpeg") is None:
        print("skipped: ffmpeg is not installed (Debian: apt install ffmpeg)")
        return
    print(f"{len(make(given.folder, given.only))} files in {given.folder}")


if __name__ == "__main__":
    main()
