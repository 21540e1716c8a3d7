"""Where the Qwen families find pictures and videos in a prompt, from ids and patch counts made by hand."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from winnow.models.families.qwen2_vl import Qwen2VL
from winnow.models.families.qwen3_vl import Qwen3VL, _join
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.layout import Layout, Span

TEXT, IMAGE, VIDEO = 1, 8, 9
OUTER = SimpleNamespace(
    config=SimpleNamespace(
        image_token_id=IMAGE, video_token_id=VIDEO, vision_config=SimpleNamespace(spatial_merge_size=2)
    )
)


def ids(*runs: tuple[int, int]) -> torch.Tensor:
    """Runs of one token, each by its id and its length, with text before, between and behind."""
    parts = [torch.full((count,), token) for token, count in runs]
    text = torch.tensor([TEXT])
    return torch.cat([text, *(piece for part in parts for piece in (part, text))])


def found(family: Any, prompts: list[torch.Tensor], **grids: Any) -> list[list[tuple[int, list[int]]]]:
    """Of each span its first position, and its frames, rows and columns."""
    inputs = {f"{kind}_grid_thw": torch.tensor(grid) for kind, grid in grids.items()}
    layouts = family.layouts(OUTER, prompts, inputs)
    return [[(int(s.positions[0]), [s.frames, s.rows, s.cols]) for s in each.spans] for each in layouts]


def test_a_video_before_an_image_and_after_it() -> None:
    """Grids are given by kind, spans stand in the order of the prompt."""
    film, picture = (VIDEO, 12), (IMAGE, 6)
    grids = {"image": [[1, 4, 6]], "video": [[2, 4, 6]]}
    assert found(Qwen2VL(), [ids(film, picture)], **grids) == [[(1, [2, 2, 3]), (14, [1, 2, 3])]]
    assert found(Qwen2VL(), [ids(picture, film)], **grids) == [[(1, [1, 2, 3]), (8, [2, 2, 3])]]


def test_grids_are_given_out_over_the_prompts_of_a_batch() -> None:
    first, second = ids((IMAGE, 2), (IMAGE, 4)), ids((TEXT, 1), (IMAGE, 1))
    assert found(Qwen2VL(), [first, second], image=[[1, 2, 4], [1, 4, 4], [1, 2, 2]]) == [
        [(1, [1, 1, 2]), (4, [1, 2, 2])], [(3, [1, 1, 1])]
    ]  # fmt: skip


def test_positions_tell_the_grid_where_they_are_there() -> None:
    t, h, w = torch.meshgrid(torch.arange(2), torch.arange(2), torch.arange(3), indexing="ij")
    prompt = ids((VIDEO, 12))
    places = torch.zeros(3, 1, len(prompt), dtype=torch.long)
    places[:, 0, 1:13] = torch.stack([t.flatten() * 4, h.flatten(), w.flatten()]) + 5
    (layout,) = Qwen2VL().layouts(OUTER, [prompt], {"position_ids": places})
    (span,) = layout.spans
    assert (span.frames, span.rows, span.cols, layout.length) == (2, 2, 3, 14)


@pytest.mark.parametrize("grid", [[[1, 4, 6]], [[1, 2, 2]]])
def test_placeholders_that_do_not_fit_are_named(grid: list[list[int]]) -> None:
    with pytest.raises(WinnowError, match=r"^4 placeholder tokens do not fit the pictures given"):
        found(Qwen2VL(), [ids((IMAGE, 4))], image=grid)
    with pytest.raises(WinnowError, match=r"next grid: None"):
        found(Qwen2VL(), [ids((IMAGE, 4))])


def test_qwen3_joins_the_steps_of_each_video() -> None:
    """Two videos of equal steps, with an image between them: each is one span, whose positions leave the text out."""
    prompt = ids((VIDEO, 4), (VIDEO, 4), (IMAGE, 2), (VIDEO, 4), (VIDEO, 4), (VIDEO, 4))
    grids = {"image": [[1, 2, 4]], "video": [[2, 4, 4], [3, 4, 4]]}
    assert found(Qwen3VL(), [prompt], **grids) == [[(1, [2, 2, 2]), (11, [1, 1, 2]), (14, [3, 2, 2])]]
    (layout,) = Qwen3VL().layouts(OUTER, [prompt], {f"{k}_grid_thw": torch.tensor(v) for k, v in grids.items()})
    assert [span.positions.tolist() for span in layout.spans] == [
        [1, 2, 3, 4, 6, 7, 8, 9], [11, 12], [14, 15, 16, 17, 19, 20, 21, 22, 24, 25, 26, 27]
    ]  # fmt: skip


def test_qwen3_goes_on_to_the_next_prompt_with_the_next_video() -> None:
    one, two = ids((VIDEO, 1), (VIDEO, 1)), ids((VIDEO, 4))
    assert found(Qwen3VL(), [one, two], video=[[2, 2, 2], [1, 4, 4]]) == [[(1, [2, 1, 1])], [(1, [1, 2, 2])]]


def test_qwen3_refuses_steps_that_are_no_video() -> None:
    with pytest.raises(WinnowError, match="a video ends 4 placeholder tokens early"):
        found(Qwen3VL(), [ids((VIDEO, 4))], video=[[2, 4, 4]])
    with pytest.raises(WinnowError, match="placeholder tokens do not fit the pictures given"):
        found(Qwen3VL(), [ids((VIDEO, 4), (VIDEO, 1))], video=[[2, 4, 4]])


@pytest.mark.parametrize(("runs", "length"), [([(2, 2)], 3), ([(2, 2), (1, 1)], 5)])
def test_qwen3_refuses_steps_longer_than_their_video_or_of_another_grid(
    runs: list[tuple[int, int]], length: int
) -> None:
    """As the features that `generate` encoded beforehand tell the length, and positions the grids."""
    spans, start = [], 0
    for rows, cols in runs:
        spans.append(Span(torch.arange(start, start + rows * cols), 1, rows, cols))
        start += rows * cols + 1
    with pytest.raises(WinnowError, match="placeholder tokens do not fit the pictures given"):
        list(_join(Layout(start, tuple(spans)), torch.ones(start, dtype=torch.bool), iter([length])))
