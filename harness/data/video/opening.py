"""Opens a video: that file, and nothing that it names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

PLAYLISTS = {"hls", "applehttp", "concat", "dash", "imf", "sdp", "rtsp"}


def opened(path: Path) -> Any:
    """Open a video with PyAV; whatever asks for more than files of this machine, as a playlist may, gets nothing.

    Raises
    ------
    OSError, ValueError
        If it is no video; FFmpeg's errors are of these classes.
    """
    import av

    # not `options`, which go to the streams as well: PyAV 15 does not survive that on MPEG program streams
    # and absolute, as FFmpeg takes what stands before a colon for a protocol
    container = av.open(str(path.absolute()), container_options={"protocol_whitelist": "file"})
    if PLAYLISTS & set(container.format.name.split(",")):
        container.close()
        raise ValueError("it is a playlist, which names other files: give the video itself")
    return container
