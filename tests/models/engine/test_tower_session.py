"""From the frames of a tower to the prompts that show them, without a model."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from winnow.models.engine import tower_session
from winnow.models.engine.texts import Texts
from winnow.models.engine.tower_pass import TowerPass
from winnow.models.engine.tower_session import TowerSession
from winnow.models.engine.trace import Recorder
from winnow.reducers.core.base import Reducer
from winnow.reducers.core.errors import UnsupportedError, WinnowError
from winnow.reducers.core.layout import Layout, Span
from winnow.reducers.core.reduction import Reduction
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import ClsRow, PooledByHead, TextMatch, Tower, TowerProbe, Uncut

TOWER = Tower(blocks=2, used=2, rows=2, cols=2, cls=False)
PROBE = ClsRow()


class Asks(Reducer):
    """Asks for one statistic; acts in the tower where it is said."""

    name, reads_tiles, together = "asks", True, False

    def tower_probes(self, tower: Tower) -> tuple[tuple[TowerProbe, int], ...]:
        return ((PROBE, 1),)


class Half(Reducer):
    """Keeps the first half of a frame."""

    def reduce(self, view: Any) -> Reduction:
        return Reduction(view.index[: len(view.index) // 2])


class Counts(Reducer):
    """Counts over all pictures, and knows nothing of tiles."""

    name, together = "counts", True


def session(slots: int | None = None, acts: bool = True, **own: Any) -> TowerSession:
    made = TowerSession.__new__(TowerSession)
    made.reducer, made.tower, made.slots, made.passes, made.current = Asks(), TOWER, slots, {}, 0
    made.sites = [Site.features(TOWER)] if acts else []
    made.pooling, made.cls_of = "pool", set()
    vars(made).update(own)
    return made


def span(start: int, frames: int = 1, tower: int = 0, patches: list[list[int]] | None = None, cells: int = 4) -> Span:
    size = frames * cells
    grid = (frames, 2, 2) if patches is None else (1, 1, size)
    told = None if patches is None else torch.tensor(patches)
    return Span(torch.arange(start, start + size), *grid, tower=tower, patches=told)


def passed(frames: int, *keep: tuple[int, list[int]]) -> TowerPass:
    """So many frames, of which some keep the patches that are named."""
    made = TowerPass(Reducer(), TOWER, frames)
    for number, patches in keep:
        made.index[number] = torch.tensor(patches)
        made.steps = [(Site.features(TOWER), [])]
    return made


TWO_FRAMES = Layout(10, (span(1, 2),))
ONE, TWO, TEXT = Layout(8, (span(1),)), Layout(20, (span(1, 2), span(10))), Layout(3)


def kept(answers: list[Reduction | None]) -> list[list[int] | None]:
    return [None if answer is None else answer.keep.tolist() for answer in answers]


def test_slots_without_a_vector_go() -> None:
    own = session()
    own.passes = {0: passed(4, (0, [1, 3]), (3, [0]))}
    assert kept(own.answers([ONE, TWO, TEXT])) == [[2, 4], [*range(1, 9), 10], None]


def test_where_the_model_pools_vectors_take_the_first_slots() -> None:
    own = session(slots=4)
    own.passes = {0: passed(4, (0, [1, 3]), (3, [2]))}
    assert kept(own.answers([ONE, TWO])) == [[1, 2], [*range(1, 9), 10]]


def test_nothing_goes_where_nothing_was_reduced() -> None:
    own = session()
    assert own.answers([TEXT]) == [None]
    own.passes = {0: passed(1)}
    assert own.answers([ONE]) == [None]


def test_each_tower_has_its_frames() -> None:
    both = Layout(20, (span(1), span(10, tower=1)))
    own = session()
    own.passes = {0: passed(1, (0, [0])), 1: passed(1, (0, [2, 3]))}
    assert kept(own.answers([both])) == [[1, 12, 13]]


def test_sequences_of_a_prompt_share_its_frames() -> None:
    own = session()
    own.passes = {0: passed(2, (0, [1]), (1, [2]))}
    assert kept(own.answers([ONE, ONE, ONE, ONE])) == [[2], [2], [3], [3]]


def test_frames_that_do_not_fit_the_prompts_are_named() -> None:
    own = session()
    for frames, total in ((2, 3), (4, 3)):
        own.passes = {0: passed(frames, (0, [1]))}
        with pytest.raises(WinnowError, match=f"{frames} frames went through the tower, but the prompts have {total}"):
            own.answers([TWO])
    both = Layout(20, (span(1), span(10, tower=1)))
    own.passes = {0: passed(2, (0, [0])), 1: passed(1)}
    with pytest.raises(WinnowError, match="repeat their images and their videos by different numbers"):
        own.answers([both, both])


def test_a_method_that_counts_over_a_batch_takes_one_prompt() -> None:
    own, three = session(), [ONE, TEXT, Layout(9, (span(2),))]
    own.reducer = Counts()
    own.passes = {0: passed(2, (0, [0]))}
    with pytest.raises(UnsupportedError, match="reducer=counts counts over all pictures"):
        own.answers(three)
    own.passes = {0: passed(1, (0, [0]))}
    assert kept(own.answers([ONE, ONE])) == [[1], [1]] and kept(own.answers([TEXT, ONE])) == [None, [1]]


def told(*values: float) -> dict[tuple[TowerProbe, int], Tensor]:
    return {(PROBE, 1): torch.tensor(values)}


def test_statistics_stand_at_the_tokens_of_their_frames() -> None:
    own = session(acts=False)
    own.passes = {0: passed(3)}
    own.passes[0].signals = [told(1, 2, 3, 4), told(5, 6, 7, 8), told(9, 10, 11, 12)]
    (found,) = own.read([TWO])
    assert found[PROBE, 1].tolist() == [0, *range(1, 9), 0, *range(9, 13), *[0] * 6]
    own.passes = {0: passed(1)}
    own.passes[0].signals = [told(1, 2, 3, 4)]
    assert [one[PROBE, 1].tolist() for one in own.read([ONE, ONE])] == [[0, 1, 2, 3, 4, 0, 0, 0]] * 2
    assert own.read([TEXT]) == [{}] and session().read([ONE]) == [{}]


CUT = [[-1, 0, -1, 1], [2, -1, 3, -1]]
TILED = Layout(8, (span(1, patches=CUT),))


def test_padding_of_tiles_is_cut_off_and_kept_beside() -> None:
    own = session(acts=False)
    own.passes = {0: passed(2)}
    own.passes[0].signals = [told(1, 2, 3, 4), told(5, 6, 7, 8)]
    (found,) = own.read([TILED])
    assert found[PROBE, 1].tolist() == [0, 2, 4, 5, 7, 0, 0, 0]
    assert found[Uncut(PROBE), 1].tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]
    own.reducer = Counts()  # which knows nothing of tiles
    with pytest.raises(UnsupportedError, match="reducer=counts reads the vision tower"):
        own.read([TILED])


def test_statistics_are_pooled_as_the_features_are() -> None:
    outer = SimpleNamespace(pool=lambda features: features.unflatten(1, (2, 2)).mean(2))
    own = session(slots=2, acts=False, parts=SimpleNamespace(outer=outer))
    own.passes = {0: passed(1)}
    own.passes[0].signals = [told(1, 2, 3, 4)]
    small = Layout(6, (Span(torch.arange(1, 3), 1, 1, 2),))
    (found,) = own.read([small])
    assert found[PROBE, 1].tolist() == [0, 1.5, 3.5, 0, 0, 0]
    with pytest.raises(UnsupportedError, match="reads the vision tower"):
        own.read([Layout(6, (Span(torch.arange(1, 4), 1, 1, 3),))])
    own.passes = {0: passed(2)}
    with pytest.raises(UnsupportedError, match="reads the vision tower"):
        own.read([small])


def test_who_was_merged_into_whom_is_told_in_tokens_of_the_prompt() -> None:
    own = session()
    own.passes = {0: passed(3)}
    own.passes[0].anchor = [torch.tensor([1, 1, 3, 3]), torch.tensor([0, 0, 2, 2]), torch.tensor([3, 3, 3, 3])]
    recorders = [Recorder(TWO), Recorder(TEXT)]
    own.provenance(recorders)
    assert recorders[0].anchor.tolist() == [1, 1, 3, 3, 4, 4, 6, 6, 11, 11, 11, 11]
    assert recorders[1].anchor.tolist() == []
    pooled, alone = session(slots=4), Recorder(TWO)
    pooled.provenance([alone])
    assert alone.anchor.tolist() == list(range(12))


def test_sequences_share_their_anchors_and_cut_off_patches_have_none() -> None:
    own = session()
    own.passes = {0: passed(2)}
    own.passes[0].anchor = [torch.tensor([1, 1, 1, 1]), torch.tensor([1, 1, 2, 2])]
    recorders = [Recorder(TILED), Recorder(TILED)]
    own.provenance(recorders)
    # In the first tile cell 1 went into cell 0; in the second, 2 into a patch that was cut off.
    assert [recorder.anchor.tolist() for recorder in recorders] == [[0, 0, 2, 3]] * 2


def test_what_leaves_the_tower_fills_the_slots_that_the_model_expects() -> None:
    nobody: Any = None
    own = session()
    assert own._after_projector(nobody, (), torch.ones(1, 2, 3)) is None and own.frames is None
    own.passes = {0: passed(2, (0, [1, 3]), (1, [0, 1]))}
    features = torch.arange(1.0, 5).view(2, 2, 1)
    full = own._after_projector(nobody, (), features)
    assert full is not None and full[..., 0].tolist() == [[0, 1, 0, 2], [3, 4, 0, 0]]
    pooled = session(slots=2)
    pooled.passes = own.passes
    full = pooled._after_projector(nobody, (), features)
    assert full is not None and full[..., 0].tolist() == [[1, 2], [3, 4]]
    with pytest.raises(UnsupportedError, match="keeps 3 vectors a frame, but the pooled frame has only 2 slots"):
        pooled._after_projector(nobody, (), torch.ones(2, 3, 1))


def test_a_method_is_asked_inside_a_block_of_the_pass_that_is_under_way() -> None:
    own, features, site = session(), torch.arange(8.0).view(2, 4, 1), Site.tower(1, TOWER)
    assert own._inside(site, features) is features
    own.passes = {1: TowerPass(Half(), TOWER, 2)}
    assert own._inside(site, features) is features  # of another tower
    own.current = 1
    assert own._inside(site, features)[..., 0].tolist() == [[0, 1], [4, 5]] and own._reduced


@pytest.mark.parametrize(("args", "kwargs"), [((1,), {}), ((1, None), {}), ((), {"x": 1})])
def test_blocks_behind_a_reduction_get_their_mask(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    def block(attention: str) -> Any:
        return SimpleNamespace(self_attn=SimpleNamespace(config=SimpleNamespace(_attn_implementation=attention)))

    hidden = torch.zeros(2, 2, 3)
    args = (hidden, *args[1:])[: len(args)]
    kwargs = kwargs if args else {"hidden_states": hidden}
    own = session()
    assert own._before_block(block("sdpa"), args, kwargs) is None
    own.passes = {0: passed(2, (0, [1, 3]), (1, [0, 1]))}
    assert own._before_block(block("sdpa"), args, kwargs) is None  # no padding
    own.passes = {0: passed(2, (0, [1, 3]), (1, [0]))}
    given, named = own._before_block(block("sdpa"), args, kwargs)
    mask = given[1] if len(args) > 1 else named["attention_mask"]
    assert mask[:, 0, 0].int().tolist() == [[1, 1], [1, 0]] and len(given) == len(args)
    with pytest.raises(UnsupportedError, match="needs a mask in the tower"):
        own._before_block(block("flash_attention_2"), args, kwargs)


def test_what_stands_beside_the_model_is_asked_once_at_the_features(monkeypatch: pytest.MonkeyPatch) -> None:
    """The text tower gives a text its length, twice where it is read whole; the head the sum of a frame's states."""
    loaded: list[Any] = []

    def texts(*asked: Any) -> Any:
        loaded.append(asked)
        return SimpleNamespace(
            read=lambda text, whole: torch.full((1 + whole, 2), float(len(text))), look=lambda state: state
        )

    def head(*asked: Any) -> Any:
        loaded.append(asked)
        return SimpleNamespace(look=lambda state: state.sum(0, keepdim=True).expand(len(state), -1))

    monkeypatch.setattr(tower_session, "load_text_tower", texts)
    monkeypatch.setattr(tower_session, "load_pooling_head", head)
    match, pool = TextMatch("x", cosine=False), PooledByHead("y")
    own = session(acts=False, beside=[match, pool], texts=Texts(["a", "bbb"], "asks"))
    own.passes = {0: passed(3)}
    own.texts.expect([ONE, TWO_FRAMES], later=False)
    features = torch.ones(3, 5, 2)
    features[:, 0] = 100
    own.cls_of = {0}  # a class token stands in front
    assert own._at_features(features) is features and own.frames is not None
    found = own.frames.signals
    assert [one[match, 2].tolist() for one in found] == [[2] * 4, [6] * 4, [6] * 4]
    assert [one[pool, 2].tolist() for one in found] == [[[4, 4]] * 4] * 3
    assert loaded == [("x", 2, "cpu"), ("y", 2, 2, "cpu")]
    own._at_features(features)
    assert len(loaded) == 2
    own.passes = {0: passed(2)}
    with pytest.raises(UnsupportedError, match="reads the vision tower"):
        own._at_features(features[:2])


def test_a_method_is_asked_at_the_features_once_and_pools_nothing_by_itself() -> None:
    own = session(beside=[])
    own.reducer = Half()
    own.passes = {0: TowerPass(own.reducer, TOWER, 2)}
    features = torch.arange(8.0).view(2, 4, 1)
    assert own._at_features(features)[..., 0].tolist() == [[0, 1], [4, 5]]
    assert own._at_features(features) is features  # which is closed
    assert session()._at_features(features) is features
