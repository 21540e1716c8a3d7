import pytest
import torch
from peaks import peaks, video
from tokens import Rows, cosine, prompt_of
from views import layout, view

from winnow.reducers.core.clusters import contiguous, density_peaks
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


def by_hand(frames: list[Rows], ratio: float, tau: float) -> list[list[int]]:
    """Members of each output token, in the official order."""
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
        made += [[f * per + still[p] for p in group for f in scene] for group in grouped(averages, ratio)]
        moving = [p for p in range(per) if p not in still]
        for f in scene:
            made += [[f * per + moving[p] for p in group] for group in grouped([frames[f][p] for p in moving], ratio)]
        start = stop
    return made


def grouped(tokens: Rows, ratio: float) -> list[list[int]]:
    return peaks(tokens, int(len(tokens) * ratio)) if len(tokens) > 14 else [[i] for i in range(len(tokens))]


@pytest.mark.parametrize("seed", range(120))
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


@pytest.mark.parametrize("seed", range(300))
def test_pieces_go_to_their_neighbours(seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    size = int(torch.randint(1, 14, (), generator=random))
    labels = torch.randint(0, 1 + seed % 4, (size,), generator=random).tolist()
    assert contiguous(labels) == refined(labels)


def test_equally_dense_tokens_are_not_all_centres() -> None:
    twice = torch.eye(3, dtype=torch.double)[[0, 0, 1, 1, 2, 2]]
    assert density_peaks(twice, 3, 2)[0].tolist() == [0, 2, 4]
