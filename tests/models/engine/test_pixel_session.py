"""Pictures in front of the tower: what a method is shown, which patches go on, which slots go."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from winnow.models.engine.pixel_session import Picture, PixelSession
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.layout import Layout, Span
from winnow.reducers.core.reduction import Reduction
from winnow.reducers.core.site import Site


@pytest.mark.parametrize(("films", "frames"), [(True, 1), (False, 2), (True, 2)])
def test_films_keep_all(films: bool, frames: int) -> None:
    nobody: Any = SimpleNamespace(films=films)  # has no method to ask
    assert PixelSession._kept(nobody, torch.zeros(4 * frames, 6), (frames, 2, 2)) is None


def asked(keep: list[int] | None, films: bool = False) -> tuple[Any, list[Any]]:
    """A session whose method keeps some squares of each picture, and what it was shown."""
    shown: list[Any] = []

    def reduce(view: Any) -> Reduction | None:
        shown.append(view)
        return None if keep is None else Reduction(torch.tensor(keep, dtype=torch.long))

    reducer = SimpleNamespace(reduce=reduce, name="some")
    return SimpleNamespace(films=films, channels=3, copies=2, merge=4, reducer=reducer, site=Site.pixels(4)), shown


def test_a_picture_is_shown_by_squares_of_its_first_copy() -> None:
    """Rows of 3 channels x 2 copies x 5 values; four rows are a square."""
    rows = torch.arange(24 * 30.0).view(24, 30)
    own, shown = asked([0, 5])
    kept = PixelSession._kept(own, rows, (1, 2, 3))
    assert kept is not None and kept.tolist() == [0, 5]
    (view,) = shown
    assert (view.rows, view.cols, view.site) == (2, 3, Site.pixels(4)) and view.pixels.shape == (6, 60)
    first = [value for channel in range(3) for value in range(10 * channel, 10 * channel + 5)]
    assert view.pixels[0, :15].tolist() == first and view.pixels[1, 0] == 4 * 30
    assert PixelSession._kept(asked(None)[0], rows, (1, 2, 3)) is None
    assert PixelSession._kept(asked(list(range(6)))[0], rows, (1, 2, 3)) is None
    with pytest.raises(WinnowError, match="reducer=some leaves nothing of a picture"):
        PixelSession._kept(asked([])[0], rows, (1, 2, 3))


SMALL, LARGE = Picture((1, 1, 2), torch.tensor([1])), Picture((1, 2, 2), None)
PROMPT = Layout(12, (Span(torch.arange(1, 3), 1, 1, 2), Span(torch.arange(5, 9), 1, 2, 2)))


def session(*pictures: Picture, films: tuple[Picture, ...] = ()) -> PixelSession:
    made = PixelSession.__new__(PixelSession)
    made.passes = {False: list(pictures), True: list(films)}
    made.stays, made.merge = None, 4
    return made


def test_slots_of_squares_that_went_are_dropped() -> None:
    text = Layout(3)
    answers = session(SMALL, LARGE).answers([PROMPT, text])
    assert answers[0] is not None and answers[0].keep.tolist() == [2, 5, 6, 7, 8] and answers[1] is None
    assert session(LARGE).answers([Layout(6, (PROMPT.spans[1],))]) == [None] and session().answers([text]) == [None]
    shared = session(SMALL, LARGE).answers([PROMPT, PROMPT, PROMPT])  # sequences of one prompt
    assert [None if one is None else one.keep.tolist() for one in shared] == [[2, 5, 6, 7, 8]] * 3


def test_films_and_pictures_are_told_apart() -> None:
    film = Span(torch.arange(1, 5), 1, 2, 2, film=True)
    both = Layout(9, (film, Span(torch.arange(6, 8), 1, 1, 2)))
    (answer,) = session(SMALL, films=(LARGE,)).answers([both])
    assert answer is not None and answer.keep.tolist() == [1, 2, 3, 4, 7]


def test_a_grid_that_does_not_fit_the_prompt_is_named() -> None:
    with pytest.raises(WinnowError, match=r"a picture of \(1, 1, 2\) went through .* one of \(1, 2, 2\)"):
        session(SMALL).answers([Layout(6, (PROMPT.spans[1],))])


def test_blocks_go_on_with_the_patches_that_are_left() -> None:
    nobody: Any = None
    own = session(SMALL, LARGE)
    bounds, rotary = torch.tensor([0, 8, 24]), (torch.arange(24.0)[:, None], -torch.arange(24.0)[:, None])
    kwargs = {"cu_seqlens": bounds, "position_embeddings": rotary, "max_seqlen": 16}
    rows = torch.arange(24.0)[:, None]
    assert own._before_block(0, nobody, (rows,), kwargs) is None
    assert own._after_merger(nobody, (), torch.ones(6, 2)) is None
    own.stays = torch.tensor([False, True, True, True, True, True])
    (given,), told = own._before_block(0, nobody, (rows,), kwargs)
    assert given.flatten().tolist() == list(range(4, 24)) and told["cu_seqlens"].tolist() == [0, 4, 20]
    assert told["max_seqlen"] == 16 and told["position_embeddings"][1].flatten().tolist() == [-n for n in range(4, 24)]
    own.stays = torch.tensor([True, True, True, False, False, False])
    (later,), told = own._before_block(1, nobody, (rows,), kwargs | {"max_seqlen": None})
    assert later is rows and told["cu_seqlens"].tolist() == [0, 8, 12] and told["max_seqlen"] is None
    assert own._before_block(0, nobody, (rows,), kwargs)[1]["max_seqlen"] == 8
    full = own._after_merger(nobody, (), torch.ones(3, 2))
    assert full is not None and full.sum(1).tolist() == [2, 2, 2, 0, 0, 0]


def test_pictures_of_a_row_of_patches_are_asked_one_by_one() -> None:
    """A picture of 2 x 4 patches and one of 4 x 4, as squares of 2 x 2: one loses a square."""
    nobody: Any = None
    own = session()
    own.films, answers = False, iter([torch.tensor([1]), None, None, None])
    own._kept = lambda patches, size: next(answers)  # type: ignore[method-assign]
    rows, grids = torch.zeros(24, 6), torch.tensor([[1, 2, 4], [1, 4, 4]])
    own._before_tower(nobody, (rows,), {"grid_thw": grids})
    assert [picture.grid for picture in own.passes[False]] == [(1, 1, 2), (1, 2, 2)]
    assert own.stays is not None and own.stays.int().tolist() == [0, 1, 1, 1, 1, 1]
    own._before_tower(nobody, (rows, grids), {})
    assert own.stays is None and own.passes[False][0].kept is None
