from dataclasses import replace

import pytest
import torch
from peaks import peaks, video
from seeds import seeds
from tokens import Rows, cosine, prompt_of
from views import layout, view

from winnow.reducers.core.clusters import contiguous, density_peaks
from winnow.reducers.core.decoding import StepView
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.probes import HighestRows
from winnow.reducers.core.schedule import K
from winnow.reducers.core.site import Site
from winnow.reducers.prunevid import PruneVid


def refined(labels: list[int]) -> list[int]:
    """The official refinement on a list of frames."""
    n, out = len(labels), list(labels)
    for label in set(labels):
        runs, start = [], None
        for i in range(n + 1):
            if i < n and labels[i] == label:
                start = i if start is None else start
            elif start is not None:
                runs.append((start, i))
                start = None
        longest = max(b - a for a, b in runs)
        for a, b in runs:
            if b - a < longest or longest == 1:
                out[a:b] = [-1] * (b - a)
    i = 0
    while i < n:
        if out[i] != -1:
            i += 1
            continue
        start = i
        while i < n and out[i] == -1:
            i += 1
        left, right = start - 1, i
        while left >= 0 and out[left] == out[start - 1]:
            left -= 1
        while right < n and out[right] == out[i]:
            right += 1
        sizes = (start - 1 - left, right - i)
        label = 0 if sizes == (0, 0) else out[start - 1] if sizes[0] >= sizes[1] else out[i]
        out[start:i] = [label] * (i - start)
    return out


def by_hand(
    frames: list[Rows], ratio: float, tau: float, sizes: list[tuple[int, int, int]] | None = None
) -> list[list[int]]:
    """Members of each output token, in the official order; of each scene static tokens, others, and frames."""
    count, per = len(frames), len(frames[0])
    means = [[sum(column) / per for column in zip(*frame, strict=True)] for frame in frames]
    labels = [0] * count
    for number, members in enumerate(peaks(means, max(1, int(count * 0.25)))):
        for member in members:
            labels[member] = number
    labels, start, made = refined(labels), 0, []
    while start < count:
        stop = start
        while stop < count and labels[stop] == labels[start]:
            stop += 1
        scene = range(start, stop)
        pairs = [(a, b) for a in scene for b in scene if a != b]
        still = [
            p
            for p in range(per)
            if pairs and sum(cosine(frames[a][p], frames[b][p]) for a, b in pairs) / len(pairs) > tau
        ]
        averages = [[sum(x) / len(scene) for x in zip(*(frames[f][p] for f in scene), strict=True)] for p in still]
        static = [[f * per + still[p] for p in group for f in scene] for group in grouped(averages, ratio)]
        before, made = len(made), made + static
        moving = [p for p in range(per) if p not in still]
        for f in scene:
            made += [[f * per + moving[p] for p in group] for group in grouped([frames[f][p] for p in moving], ratio)]
        if sizes is not None:
            sizes.append((len(static), len(made) - before - len(static), len(scene)))
        start = stop
    return made


def grouped(tokens: Rows, ratio: float) -> list[list[int]]:
    return peaks(tokens, int(len(tokens) * ratio)) if len(tokens) > 14 else [[i] for i in range(len(tokens))]


@seeds(120)
def test_prunevid_is_its_loops(seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    frames, rows = int(torch.randint(1, 13, (), generator=random)), int(torch.randint(1, 6, (), generator=random))
    prompt, states = layout((frames, rows, 5)), video(seed, frames, rows * 5)
    method = PruneVid(ratio=[0.5, 0.25, 0.8][seed % 3], tau=[0.8, 0.6, 2.0][seed % 3])
    answer = method.reduce(view(prompt, hidden=prompt_of(states.flatten(0, 1), prompt)))
    groups = by_hand(states.tolist(), method.ratio, method.tau)
    if answer is None:
        assert len(groups) == len(prompt.visual)
        return
    weights = answer.weights.to_dense()
    assert [set(row.nonzero().flatten().tolist()) for row in weights] == [set(group) for group in groups]
    assert torch.allclose(weights.sum(1), torch.ones(len(groups)))
    raster = PruneVid(ratio=method.ratio, tau=method.tau, order="raster")
    answer = raster.reduce(view(prompt, hidden=prompt_of(states.flatten(0, 1), prompt)))
    kept = answer.keep - 3
    assert (answer.weights.to_dense()[torch.arange(len(kept)), kept] > 0).all()


def stays(weights: list[Rows], sizes: list[tuple[int, int, int]], alpha: float) -> list[int]:
    """The released loops of the second stage, on what heads and text rows pay to the tokens that entered."""
    score = [max(row[i] for head in weights for row in head) for i in range(len(weights[0][0]))]
    kept, start = list[int](), 0

    def most(first: int, size: int) -> list[int]:
        return sorted(range(first, first + size), key=lambda i: (-score[i], i))[: int(size * alpha)]

    for static, others, window in sizes:
        kept += most(start, static)
        each = others // window
        for frame in range(window):
            kept += most(start + static + frame * each, each)
        start += static + others
    return sorted(kept)


@seeds(60)
def test_the_second_stage_is_its_loops(seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    frames, rows = int(torch.randint(1, 13, (), generator=random)), int(torch.randint(1, 6, (), generator=random))
    prompt, states = layout((frames, rows, 5)), video(seed, frames, rows * 5)
    options = {"ratio": [0.5, 0.25, 0.8][seed % 3], "tau": [0.8, 0.6, 2.0][seed % 3]}
    method = PruneVid(**options, second=[0.4, 0.7, 0.15][seed // 3 % 3], positions="keep", schedule=K(3))  # type: ignore[arg-type]
    entering = view(prompt, hidden=prompt_of(states.flatten(0, 1), prompt))
    answer = method.reduce(entering)
    assert answer is not None
    alone = PruneVid(**options, positions="keep").reduce(entering)  # type: ignore[arg-type]
    assert torch.equal(answer.keep, entering.visual if alone is None else alone.keep)
    paid = torch.rand(4, 3, len(answer.keep), generator=random, dtype=torch.double)
    paid = (paid * 8).floor() if seed % 2 else paid  # ties
    signal = torch.zeros(prompt.length, dtype=torch.double)
    signal[answer.keep] = paid.amax((0, 1))
    gone = torch.full((prompt.length,), -1).index_fill_(0, prompt.visual, 0).index_fill_(0, answer.keep, -1)
    later = view(prompt, 3, {(HighestRows("text"), 2): signal}, gone)
    left = method.reduce(replace(later, told=answer.told))
    assert left is not None and left.weights is None and left.positions == "keep"
    sizes: list[tuple[int, int, int]] = []
    by_hand(states.tolist(), method.ratio, method.tau, sizes)
    assert left.keep.tolist() == answer.keep[stays(paid.tolist(), sizes, method.second)].tolist()
    step = StepView(Site.decode(0, 28), prompt, answer.keep, torch.zeros(len(answer.keep)), left.told)
    read = method.reduce(step)
    assert read is not None and torch.equal(read.keep, left.keep) and read.told is None


def test_parts_of_several_spans_are_apart() -> None:
    """In raster order too, where static tokens stand among those of their scene's first frame."""
    prompt = layout((2, 1, 4), (1, 1, 4))
    frame = torch.tensor([[1.0, 0], [1, 0], [0, 1], [1, 1]])
    other = torch.tensor([[1.0, 0], [1, 0], [1, 0], [-1, 1]])
    states = prompt_of(torch.cat([frame, other, frame]).double(), prompt)
    method = PruneVid(tau=0.9, order="raster", second=0.5)
    answer = method.reduce(view(prompt, hidden=states))
    assert answer is not None and answer.keep.tolist() == [3, 4, 5, 6, 9, 10, *prompt.spans[1].positions.tolist()]
    parts = answer.told[answer.keep].tolist()
    assert [parts.index(part) for part in parts] == [0, 0, 2, 2, 4, 4, 6, 6, 6, 6]
    assert set(answer.told.tolist()) == {-1, *parts}


def test_where_the_second_stage_acts() -> None:
    method = PruneVid(second=0.4)
    assert [str(site) for site in method.sites(32)] == ["entrance", "layer(11)", "decode(0)"]
    assert [str(site) for site in replace(method, decode="all").sites(32)] == ["entrance", "layer(11)"]
    assert [str(site) for site in PruneVid().sites(32)] == ["entrance"] and PruneVid().probes(32) == ()
    assert method.probes(32) == ((HighestRows("text"), 10),)
    assert method.knobs(32)["schedule"] == "k=11" and not {"decode", "schedule"} & PruneVid().knobs(32).keys()
    assert PruneVid(ratio=0.5, second=0.4).plan([(16, 144)], 32) == [16 * 72] * 11 + [16 * 28] * 21
    step = StepView(Site.decode(0, 32), layout(), torch.arange(0), torch.zeros(0))
    assert method.reduce(step) is None
    with pytest.raises(WinnowError, match="second=0 is not allowed"):
        PruneVid(second=0)


@seeds(300)
def test_pieces_go_to_their_neighbours(seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    size = int(torch.randint(1, 14, (), generator=random))
    labels = torch.randint(0, 1 + seed % 4, (size,), generator=random).tolist()
    assert contiguous(labels) == refined(labels)


def test_equally_dense_tokens_are_not_all_centres() -> None:
    twice = torch.eye(3, dtype=torch.double)[[0, 0, 1, 1, 2, 2]]
    assert density_peaks(twice, 3, 2)[0].tolist() == [0, 2, 4]
