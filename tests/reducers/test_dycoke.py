import pytest
import torch
from seeds import seeds
from tokens import Rows, cosine, left, tokens
from views import layout

from winnow.reducers.core.decoding import StepView
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.site import Site
from winnow.reducers.dycoke import DyCoke


def released(tokens: Rows, frames: int, keep: int) -> list[int]:
    """The released loops: pairs of frames, each by the pair before, then the even frames inside groups of four."""
    per = len(tokens) // frames

    def alike(frame: int, other: int) -> list[float]:
        return [round(cosine(tokens[frame * per + p], tokens[other * per + p]), 12) for p in range(per)]

    def least(frame: int, judged: list[float]) -> list[int]:
        return [frame * per + p for p in sorted(range(per), key=lambda p: (judged[p], p))[:keep]]

    listed: list[list[int]] = []
    pairs = [alike(i + 1, i) for i in range(0, frames - 1, 2)]
    for i in range(0, frames - 1, 2):
        listed += [list(range(i * per, i * per + per)), least(i + 1, pairs[(i - 2) // 2])]
    for i in range(0, frames - 4, 4):
        listed[i + 2] = least(i + 2, alike(i + 2, i))
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


@seeds(200)
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


def stepped(attention: list[list[float]], method: DyCoke) -> list[list[int]]:
    """The released loops of the second stage: what each step reads, of visual tokens 3, 4, 5, ..."""
    free = len(attention[0]) - (method.variant == "official")
    before: list[float] | None = None
    read, found = list[int](), []
    for paid in attention:
        if before is None or cosine(paid, before) < 0.9:
            rank = sorted(range(free), key=lambda i: (-paid[i], i))
            read = sorted([*rank[: int(free * (1 - method.p))], *range(free, len(paid))])
        elif method.decode == "code":
            read = list(range(len(paid)))
        before = paid
        found.append([i + 3 for i in read])
    return found


@pytest.mark.parametrize("decode", ["code", "paper"])
@seeds(80)
def test_the_second_stage_is_its_loops(seed: int, decode: str) -> None:
    random = torch.Generator().manual_seed(seed)
    method = DyCoke(decode=decode, p=[0.7, 0.2, 0.95][seed % 3], variant=["mended", "official"][seed % 2])  # type: ignore[arg-type]
    prompt, told = layout((1, 1, int(torch.randint(1, 20, (), generator=random)))), None
    paid = [torch.rand(len(prompt.visual), generator=random)]
    for _ in range(5):  # some steps look elsewhere, some where the one before has looked
        other = torch.rand(len(paid[0]), generator=random)
        paid.append(other if torch.rand((), generator=random) < 0.5 else paid[-1] + 0.1 * other)
    paid = [(row * 4).floor() if seed % 5 == 0 else row for row in paid]
    found = []
    for attention in paid:
        answer = method.reduce(StepView(Site.decode(3, 28), prompt, prompt.visual, attention, told))
        assert answer is not None
        found.append(answer.keep.tolist())
        told = answer.told
    assert found == stepped([row.tolist() for row in paid], method)


def test_where_the_second_stage_acts() -> None:
    assert [str(site) for site in DyCoke(decode="code").sites(28)] == ["entrance", "decode(3)"]
    assert [str(site) for site in DyCoke().sites(28)] == ["entrance"]
    assert DyCoke(decode="code").knobs(28)["schedule"] == "k=3" and not {"p", "schedule"} & DyCoke().knobs(28).keys()
    assert DyCoke(decode="paper").plan([(32, 196)], 28) == [2960] * 28
    with pytest.raises(WinnowError, match="1-p=0 is not allowed"):
        DyCoke(p=1)
