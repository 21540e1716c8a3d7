"""Where visual tokens lie: grids, pools, masks, draws."""

import pytest
import torch

from winnow.reducers.core.layout import Grid, Layout, Span, pools


@pytest.mark.parametrize(
    ("grid", "tokens", "rows", "cols"),
    [(Grid(3, 12, 4), 36, 3, 4), (Grid(3, 16), 48, 4, 4), (Grid(2, 12), 24, 1, 12), (Grid(1, 1), 1, 1, 1),
     (Grid(2, 16, 8), 32, 2, 8), (Grid(5, 0), 0, 0, 1)],
)  # fmt: skip
def test_rows_and_columns_of_a_frame(grid: Grid, tokens: int, rows: int, cols: int) -> None:
    assert (grid.tokens, grid.rows, grid.cols) == (tokens, rows, cols)


ALIKE, OTHER = [Grid(3, 12, 4), Grid(2, 12, 4)], [Grid(3, 12, 4), Grid(2, 12, 6)]


def test_a_quota_over_the_prompt_takes_frames_of_one_size_as_a_film_and_others_as_a_row() -> None:
    assert pools(ALIKE, "span") == ALIKE and pools(ALIKE[:1], "prompt") == ALIKE[:1] and pools([], "prompt") == []
    assert pools(ALIKE, "prompt") == [Grid(5, 12, 4)] and pools(OTHER, "prompt") == [Grid(1, 60, 60)]
    assert pools([Grid(3, 12, 4, 0), Grid(2, 12, 4, 1)], "prompt") == [Grid(5, 12, 4)]  # views of one picture


LAYOUT = Layout.of(30, (3, (2, 2, 3)), (18, (1, 2, 2)), key="k")


def test_a_prompt_by_hand() -> None:
    assert LAYOUT.visual.tolist() == [*range(3, 15), *range(18, 22)]
    assert LAYOUT.is_visual.nonzero().flatten().tolist() == LAYOUT.visual.tolist() and len(LAYOUT.is_visual) == 30
    assert LAYOUT.question.tolist() == [*range(22, 30)] == LAYOUT.is_question.nonzero().flatten().tolist()
    assert [span.grid for span in LAYOUT.spans] == [Grid(2, 6, 3), Grid(1, 4, 2)] and len(LAYOUT.spans[0]) == 12
    assert not LAYOUT.tiled and LAYOUT.spans[0].cells.tolist() == [[*range(6)], [*range(6, 12)]]


def test_text_alone_is_all_question_and_separators_are_not() -> None:
    assert Layout(4).question.tolist() == [0, 1, 2, 3] and Layout(4).visual.tolist() == []
    with_newline = Layout(9, LAYOUT.of(9, (1, (1, 2, 2))).spans, separators=torch.tensor([5]))
    assert with_newline.question.tolist() == [6, 7, 8]


def test_pools_of_spans_stand_where_their_tokens_do() -> None:
    assert LAYOUT.pools("span") is LAYOUT.spans
    (whole,) = LAYOUT.pools("prompt")
    assert torch.equal(whole.positions, LAYOUT.visual) and (whole.frames, whole.rows, whole.cols) == (1, 1, 16)
    film = Layout.of(30, (3, (1, 2, 3)), (12, (2, 2, 3)))
    assert [(one.frames, one.rows, one.cols) for one in film.pools("prompt")] == [(3, 2, 3)]
    single = Layout.of(30, (3, (2, 2, 3)))
    assert single.pools("prompt") is single.spans


def test_a_grid_has_to_fit_its_positions() -> None:
    with pytest.raises(ValueError, match="5 positions for a 1x2x3 grid"):
        Span(torch.arange(5), 1, 2, 3)


def test_draws_depend_on_the_key_and_on_the_salt_alone() -> None:
    def draw(layout: Layout, *salt: object) -> list[int]:
        return torch.randint(2**40, (4,), generator=layout.generator(*salt)).tolist()

    again = Layout.of(50, key="k")
    assert draw(LAYOUT) == draw(again) and draw(LAYOUT, 1, "a") == draw(again, 1, "a")
    assert len({tuple(draw(*each)) for each in ((LAYOUT,), (LAYOUT, 1), (LAYOUT, 2), (Layout.of(30, key="l"),))}) == 4
    assert draw(LAYOUT, "a", "b") == draw(LAYOUT, "a/b")  # a salt is a path


def test_tiles_make_a_prompt_tiled() -> None:
    span = Span(torch.arange(4), 1, 2, 2, patches=torch.tensor([[0, 1], [2, -1]]))
    assert Layout(6, (span,)).tiled and span.cells is span.patches
