"""Pictures of samples: what was pruned is grey, what was merged has its group's colour, attention is what it says."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from winnow.harness.cli.commands import look as cli
from winnow.harness.common.find_run import find_run
from winnow.harness.results.plots import attention, sample, tokens
from winnow.reducers.core.errors import WinnowError


def span(last_layer: list[int], anchor: list[int]) -> sample.Span:
    shape = (1, 2, 2)
    frames = [np.zeros((8, 8, 3), np.uint8)]
    return sample.Span(frames, np.array(last_layer).reshape(shape), np.array(anchor).reshape(shape))


def test_pruned_tokens_are_grey_and_merged_ones_share_a_colour() -> None:
    found = span([7, -1, 3, 7], [0, 0, 2, 3])
    at_0, at_5 = (tokens.overlay(found, layer).reshape(4, 4) for layer in (0, 5))
    assert (at_0[0][:3] == at_0[1][:3]).all() and at_0[0][3] > at_0[1][3] > 0  # 1 was merged into 0
    assert (at_0[2] == 0).all() and (at_0[3] == 0).all()  # alone and alive
    assert at_5[2][3] > 0 and len(set(at_5[2][:3])) == 1 and (at_5[3] == 0).all()  # 2 is gone by layer 5
    assert (at_5[1] == at_0[1]).all()
    dead = tokens.overlay(span([3, -1, 3, 7], [0, 0, 2, 3]), 5).reshape(4, 4)
    assert len(set(dead[0][:3])) == 1 == len(set(dead[1][:3]))  # the whole group is gone


def test_a_column_per_frame_and_a_row_per_stage() -> None:
    found = span([7, -1, 3, 7], [0, 0, 2, 3])
    wide = sample.Span([np.full((8, 16, 3), 200, np.uint8)], found.last_layer, found.anchor)
    picture, across, down = tokens.mosaic([(found, 0), (wide, 0)], [0, 5])
    step = tokens.TILE + tokens.GAP
    assert picture.shape == (2 * step, 3 * tokens.TILE + 2 * tokens.GAP, 3)
    assert across == [tokens.TILE / 2, step + tokens.TILE] and down == [tokens.TILE / 2, step + tokens.TILE / 2]
    at = tokens.TILE // 4
    assert (picture[tokens.TILE - at, at] == 0).all() and (picture[at, at] > 0).any()  # 2 alone, 0 with 1
    assert picture[step + tokens.TILE - at, at, 0] > 0 and (picture[tokens.TILE :, -1] == 255).all()  # 2 gone by 5


def test_samples_of_a_run(run: Callable[..., Any], results: Path, tmp_path: Path) -> None:
    done = run("reducer=aim", "ratio=0.25", "schedule=pico", "limit=3")
    assert done.code == 0, done.err
    folder = find_run(next(results.glob("*/DONE")).parent.name[:5], results)
    found = sample.load(folder, "pico_video/2")
    (only,) = found.spans
    assert only.anchor.shape == (8, 5, 5) and len(only.frames) == 8 and found.question
    assert [int(only.seen(layer).sum()) for layer in range(8)] == found.visual_per_layer
    assert found.stages[0] == 0 and all(found.visual_per_layer[s] for s in found.stages[:-1])
    cli.view(folder.name, "2", tmp_path / "a.png", results)
    assert Image.open(tmp_path / "a.png").width > 600
    values = attention.attention(folder, "pico_video", 2)
    assert values.shape == (7, 8) and (values >= 0).all() and (values.sum(1) <= 1 + 1e-4).all() and values.sum() > 0.1
    cli.view(folder.name, "2", tmp_path / "b.svg", results, attention=True)
    assert (tmp_path / "b.svg").stat().st_size > 5000
    with pytest.raises(WinnowError, match=r"--sample 9 names 0 answered samples of .*: give one as pico_video/0"):
        sample.load(folder, "9")
    with pytest.raises(WinnowError, match="zzz is no run in"):
        find_run("zzz", results)


def test_an_imported_run_has_no_tokens_to_draw(tmp_path: Path) -> None:
    with pytest.raises(WinnowError, match="run imported-0a1b is imported, or of an older version, and lacks tokens"):
        sample.trace_of(tmp_path / "imported-0a1b", "0")
