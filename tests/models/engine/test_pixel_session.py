"""Films are never asked for their pixels, nor is what shows several frames."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from winnow.models.engine.pixel_session import PixelSession


@pytest.mark.parametrize(("films", "frames"), [(True, 1), (False, 2), (True, 2)])
def test_films_keep_all(films: bool, frames: int) -> None:
    nobody: Any = SimpleNamespace(films=films)  # has no method to ask
    assert PixelSession._kept(nobody, torch.zeros(4 * frames, 6), (frames, 2, 2)) is None
