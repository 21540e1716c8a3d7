import pytest
import torch
from tokens import Rows, cosine, left, tokens

from winnow.reducers.dycoke import DyCoke


def released(tokens: Rows, frames: int, keep: int) -> list[int]:
    """The released loops: pairs of frames first, then the even frames inside groups of four."""
    per = len(tokens) // frames

    def least(frame: int, other: int) -> list[int]:
        alike = {p: cosine(tokens[frame * per + p], tokens[other * per + p]) for p in range(per)}
        return [frame * per + p for p in sorted(alike, key=lambda p: (round(alike[p], 12), p))[:keep]]

    listed: list[list[int]] = []
    for i in range(0, frames - 1, 2):
        listed += [list(range(i * per, i * per + per)), least(i + 1, i)]
    for i in range(0, frames - 4, 4):
        listed[i + 2] = least(i + 2, i)
    return [place for frame in listed for place in frame]


def intended(tokens: Rows, frames: int, keep: int) -> list[int]:
    """The paper's groups of four frames: no frame is lost, and the last group is like the others."""
    per, kept = len(tokens) // frames, []
    for f in range(frames):
        if f % 4 == 0:
            kept += range(f * per, f * per + per)
        else:
            other = f - 1 if f % 2 else f - 2
            rank = sorted(
                range(per), key=lambda p: (round(cosine(tokens[f * per + p], tokens[other * per + p]), 12), p)
            )
            kept += sorted(f * per + p for p in rank[:keep])
    return kept


@pytest.mark.parametrize("seed", range(200))
def test_dycoke_is_its_loops(seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    frames, rows, cols = (int(torch.randint(1, most, (), generator=random)) for most in (11, 4, 4))
    visual, per = tokens(frames * rows * cols, seed), rows * cols
    k = [0.2, 0.5, 0.7, 0.9][seed % 4]
    expected = intended(visual.tolist(), frames, max(1, int(per * (1 - k))))
    assert left(DyCoke(k=k), visual, (frames, rows, cols)) == expected
    if frames > 1:
        expected = released(visual.tolist(), frames, int(per * (1 - k)))
        assert left(DyCoke(k=k, variant="official"), visual, (frames, rows, cols)) == expected


@pytest.mark.parametrize(("frames", "official", "mended"), [(16, 1618, 1480), (32, 3098, 2960), (64, 6058, 5920)])
def test_counts(frames: int, official: int, mended: int) -> None:
    assert DyCoke(k=0.7, variant="official").plan([(frames, 196)], 1) == [official]
    assert DyCoke(k=0.7).plan([(frames, 196)], 1) == [mended]


def test_a_picture_stays() -> None:
    for variant in ("mended", "official"):
        assert DyCoke(variant=variant).plan([(1, 9)], 1) == [9]
