"""FastVID against its released code, written as loops."""

import math

import pytest
import torch
from peaks import mean, peaks, segments, video
from seeds import seeds
from tokens import Rows, cosine, prompt_of
from views import layout, view

from winnow.reducers.core.errors import UnsupportedError, WinnowError
from winnow.reducers.core.layout import Grid
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import ClsRow, ColumnMean, PooledByHead, Tower
from winnow.reducers.fastvid import FastVID

Weights = dict[int, list[dict[int, float]]]
SIGLIP = Tower(26, 26, 27, 27, cls=False)


def released(frames: list[Rows], attention: list[list[float]], method: FastVID, about: Rows | None = None) -> Weights:
    """At each place the merged tokens that stand there, as weights of places; frames are compared by some vectors."""
    per, total = len(frames[0]), max(1, int(len(frames[0]) * method.ratio))
    context = int(total * method.context)
    chosen = [sorted(range(per), key=lambda p: (-row[p], p))[: total - context] for row in attention]
    out: Weights = {f * per + p: [{f * per + p: 1.0}] for f, picks in enumerate(chosen) for p in picks}
    others = [[p for p in range(per) if p not in picks] for picks in chosen]
    about = [mean(frame) for frame in frames] if about is None else about
    for segment in segments(about, method.segments, method.tau):
        holding = [f for f in segment if (segment[-1] - f) % method.every == 0]
        members = [(f, p) for f in segment for p in others[f]]
        for f in holding:
            anchors = min(context * len(segment) // len(holding), len(others[f]))
            dense = peaks([frames[f][p] for p in others[f]], anchors, 4) if anchors else []
            own = [others[f][group[0]] for group in dense]
            joined: dict[int, list[int]] = {p: [] for p in own}
            for g, q in members if own else ():
                best = max(own, key=lambda p: (round(cosine(frames[g][q], frames[f][p]), 9), -own.index(p)))
                joined[best].append(g * per + q)
            for p, inside in joined.items():
                weight = max(method.beta, 1 / (len(inside) + 1))
                row = {place: (1 - weight) / len(inside) for place in inside}
                row[f * per + p] = row.get(f * per + p, 0) + weight
                out[f * per + p] = [row]
    return out


def released_for_qwen(
    frames: list[Rows], attention: list[list[float]], method: FastVID, ignore: float, about: Rows | None = None
) -> Weights:
    """The same of the code for Qwen2.5-VL: numbers are shared out in a segment, none to frames like their successor."""
    per, out, means = len(frames[0]), Weights(), about or [mean(frame) for frame in frames]
    for segment in segments(means, method.segments, method.tau):
        total = max(1, int(per * method.ratio)) * len(segment)
        context = max(int(total * method.context), 1)
        ends = [f for f in segment if f == segment[-1] or cosine(means[f], means[f + 1]) < ignore]
        turns = math.ceil(len(ends) / method.every)
        counts = [context // turns + (i < context % turns) for i in range(turns)]
        listed = [min(counts[i // method.every], per // 2) if i % method.every == 0 else 0 for i in range(len(ends))]
        if len(segment) == 1:
            listed = [context]
        anchors = dict(zip(ends, reversed(listed), strict=True))
        share, over = divmod(total - context, len(ends))
        picks: dict[int, list[int]] = {f: [] for f in segment}
        for i, f in enumerate(ends):
            rank = sorted(range(per), key=lambda p: (-attention[f][p], p))
            picks[f] = rank[: min(share + (i < over), per - anchors[f])]
            out |= {f * per + p: [{f * per + p: 1.0}] for p in picks[f]}
        for f in ends:
            rest = [p for p in range(per) if p not in picks[f]]
            dense = peaks([frames[f][p] for p in rest], anchors[f], 4) if anchors[f] else []
            own = sorted(rest[group[0]] for group in dense)
            joined: dict[int, list[int]] = {p: [] for p in own}
            for g, q in [(g, q) for g in segment for q in range(per) if own and q not in picks[g]]:
                if g != f or q not in own:
                    best = max(own, key=lambda p: (round(cosine(frames[g][q], frames[f][p]), 9), -p))
                    joined[best].append(g * per + q)
            for p, inside in joined.items():
                weight = max(method.beta, 1 / (len(inside) + 1))
                row = {place: (1 - weight) / len(inside) for place in inside}
                out[f * per + p] = [row | {f * per + p: weight}]
    return out


@seeds(150)
@pytest.mark.parametrize("ignore", [None, 0.95, 0.5])
def test_it_is_the_released_code(seed: int, ignore: float | None) -> None:
    random = torch.Generator().manual_seed(seed)
    frames, per = (int(n) for n in torch.randint(1 if ignore is None else 2, 11, (2,), generator=random))
    prompt, states = layout((frames, 1, per)), video(seed, frames, per)
    attention = torch.randint(0, 9, (prompt.length,), generator=random).double()
    ratio, least, every = [0.5, 0.25, 0.8][seed % 3], [3, 8, 1][seed // 3 % 3], [4, 2, 1][seed % 2]
    by_head = {"variant": "head", "pooling_head": "random"} if seed % 5 == 0 else {}
    tau = 0.9 if ignore is None else 0.3
    method = FastVID(ratio=ratio, segments=least, every=every, ignore=ignore, tau=tau, **by_head)
    told, about = attention, None
    if by_head:
        about = torch.randn(frames, 7, generator=random, dtype=torch.double)
        told = torch.zeros(prompt.length, 8, dtype=torch.double)
        told[:, 0], told[prompt.visual, 1:] = attention, about.repeat_interleave(per, 0)
    (key,) = method.tower_probes(SIGLIP)
    state = view(prompt, hidden=prompt_of(states.flatten(0, 1), prompt), signals={key: told})
    seen = states.tolist(), attention[prompt.visual].view(frames, per).tolist(), method
    vectors = None if about is None else about.tolist()
    expected = released(*seen, vectors) if ignore is None else released_for_qwen(*seen, ignore, vectors)
    answer = method.reduce(state)
    if answer is None:
        assert [row for _, (row,) in sorted(expected.items())] == [{p: 1.0} for p in range(frames * per)]
        return
    assert (answer.keep - 3).tolist() == sorted(expected)
    dense = torch.zeros(len(expected), frames * per)
    for number, place in enumerate(sorted(expected)):
        for member, weight in expected[place][0].items():
            dense[number, member] = weight
    assert torch.allclose(answer.weights.to_dense(), dense, atol=1e-6)
    assert len(expected) <= method.plan([prompt.spans[0].grid], 28)[0]


def test_counts_of_the_paper() -> None:
    """19 of 196 in each of 32 frames: 12 salient, and 7 for each frame of a segment."""
    assert FastVID(ratio=0.1).plan([Grid(32, 196, 14)], 28) == [608] * 28
    assert FastVID(ratio=1.0).plan([Grid(32, 196, 14)], 28) == [6272] * 28
    assert FastVID().tower_probes(Tower(26, 26, 27, 27, cls=False)) == ((ColumnMean(), 25),)
    assert FastVID().tower_probes(Tower(24, 23, 24, 24, cls=True)) == ((ClsRow(), 22),)
    with pytest.raises(WinnowError, match="segments=0 is not allowed"):
        FastVID(segments=0)


def test_everything_may_stay() -> None:
    prompt = layout((2, 1, 4))
    signals = {(ColumnMean(), 25): torch.zeros(prompt.length)}
    whole = view(prompt, Site.entrance(28), signals, hidden=torch.ones(prompt.length, 4))
    assert FastVID(ratio=1.0).reduce(whole) is None


def test_the_head_has_to_be_named_and_to_be_there() -> None:
    head = FastVID(variant="head", pooling_head="some/siglip")
    assert head.tower_probes(SIGLIP) == ((PooledByHead("some/siglip"), 26),)
    with pytest.raises(UnsupportedError, match="one of CLIP"):
        head.tower_probes(Tower(24, 23, 24, 24, cls=True))
    with pytest.raises(WinnowError, match=r"variant=head needs weights .* say reducer\.pooling_head=google/siglip"):
        FastVID(variant="head")
    with pytest.raises(WinnowError, match=r"variant=tower reads no reducer\.pooling_head"):
        FastVID(pooling_head="random")
