"""A video is one file: what names other files, here or elsewhere, is none."""

import socket
from pathlib import Path

import pytest

from winnow.harness.data.video.opening import opened

VIDEO = Path(__file__).parent / "awkward" / "h264.ts"
PLAYLISTS = {
    "a.m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{VIDEO}\n#EXT-X-ENDLIST\n",
    "b.mp4": "ffconcat version 1.0\nfile h264.ts\n",
}


@pytest.mark.parametrize("name", PLAYLISTS)
def test_playlists(tmp_path: Path, name: str) -> None:
    (tmp_path / "h264.ts").write_bytes(VIDEO.read_bytes())
    (tmp_path / name).write_text(PLAYLISTS[name])
    with opened(tmp_path / "h264.ts") as container:
        assert container.streams.video
    with pytest.raises(ValueError, match="it is a playlist, which names other files: give the video itself"):
        opened(tmp_path / name)


def test_no_address_is_asked() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        with pytest.raises((OSError, ValueError)):
            opened(Path(f"tcp:/127.0.0.1:{server.getsockname()[1]}"))
        with pytest.raises(TimeoutError):
            server.accept()


def test_a_name_with_a_colon_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file:a.mp4").write_bytes((VIDEO.parent / "av1.mp4").read_bytes())
    (tmp_path / "a.mp4").write_bytes(VIDEO.read_bytes())
    monkeypatch.chdir(tmp_path)
    with opened(Path("file:a.mp4")) as container:
        assert container.streams.video[0].codec.canonical_name == "av1"
