"""The colours of a frame are those of its own matrix and range, worked out by hand."""

import av
import numpy as np
import pytest

from winnow.harness.data.video.picture import picture

MATRICES = {1: (0.2126, 0.0722), 2: (0.299, 0.114), 5: (0.299, 0.114), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}
"""The shares of red and blue in the luma, by the numbers of ITU-T H.273; 2 is not tagged."""
LIMITED, FULL = 1, 2


def rgb(levels: tuple[int, int, int], matrix: int, color_range: int) -> np.ndarray:
    luma, blue, red = levels
    y, u, v = (
        ((luma - 16) / 219, (blue - 128) / 224, (red - 128) / 224)
        if color_range == LIMITED
        else (luma / 255, (blue - 128) / 255, (red - 128) / 255)
    )
    of_red, of_blue = MATRICES[matrix]
    r, b = y + 2 * (1 - of_red) * v, y + 2 * (1 - of_blue) * u
    return 255 * np.array([r, (y - of_red * r - of_blue * b) / (1 - of_red - of_blue), b])


@pytest.mark.parametrize("layout", ["yuv420p", "yuv444p", "yuv444p10le"])
@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("color_range", [LIMITED, FULL])
def test_matrix_and_range_of_the_source_decide(layout: str, matrix: int, color_range: int) -> None:
    levels = (120, 100, 170)
    frame = av.VideoFrame(16, 16, layout)
    for plane, level in zip(frame.planes, levels, strict=True):
        samples = np.full(plane.buffer_size // 2, 4 * level, np.uint16) if "10" in layout else bytes([level])
        plane.update(samples.tobytes() if isinstance(samples, np.ndarray) else samples * plane.buffer_size)
    frame.colorspace, frame.color_range = matrix, color_range
    assert np.abs(picture(frame) - rgb(levels, matrix, color_range)).max() < 2.5
