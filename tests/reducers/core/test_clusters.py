"""Clusters, against loops and by hand."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from winnow.reducers.core.clusters import bounded_peaks, components, contiguous, density_peaks, segments
from winnow.reducers.core.greedy import coverage, determinant, max_min, unit


def drawn(n: int, width: int, seed: int) -> torch.Tensor:
    return torch.randn(n, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@settings(max_examples=25)
@given(st.integers(1, 8), st.integers(1, 8), st.integers(1, 8), st.integers(0, 99), st.booleans())
def test_density_peaks(n: int, clusters: int, neighbours: int, seed: int, raster: bool) -> None:
    tokens, clusters = drawn(n, 3, seed), min(clusters, n)
    apart = [[math.dist(a, b) / math.sqrt(3) for b in tokens.tolist()] for a in tokens.tolist()]
    density = []
    for row in apart:
        near = sorted(row)[:neighbours]
        density.append(math.exp(-sum(one**2 for one in near) / len(near)))
    largest, score = max(map(max, apart)), []
    for a in range(n):
        denser = [apart[a][b] for b in range(n) if (density[b], -b) > (density[a], -a)]
        score.append(density[a] * min(denser, default=largest))
    centres = sorted(range(n), key=lambda a: (-score[a], a))[:clusters]
    centres = sorted(centres) if raster else centres
    found, cluster = density_peaks(tokens, clusters, neighbours, raster)
    assert found.tolist() == centres
    nearest = [min(range(clusters), key=lambda c: apart[centres[c]][a]) for a in range(n)]
    assert cluster.tolist() == [centres.index(a) if a in centres else nearest[a] for a in range(n)]


@settings(max_examples=25)
@given(st.integers(1, 8), st.integers(0, 99), st.sampled_from([-0.1, 0.0, 0.3, 0.8, 2.0]))
def test_bounded_peaks(n: int, seed: int, cutoff: float) -> None:
    tokens = drawn(n, 3, seed)
    far = 1 - torch.nn.functional.cosine_similarity(tokens[:, None], tokens[None], dim=-1).clamp(max=1)
    density = far.div(2).square().neg().exp().sum(1)
    centres: list[int] = []
    for a in sorted(range(n), key=lambda a: (-round(float(density[a]), 9), -a)):
        if cutoff < 0 or all(float(far[a, c]) > cutoff for c in centres):
            centres.append(a)
    assert bounded_peaks(tokens, cutoff).tolist() == centres


@pytest.mark.parametrize(
    ("alike", "least", "tau", "pieces"),
    [
        ([0.9, 0.1, 0.5], 1, 0.0, [(0, 4)]),
        ([0.9, 0.1, 0.5], 2, 0.0, [(0, 2), (2, 4)]),
        ([0.9, 0.1, 0.5], 3, 0.0, [(0, 2), (2, 3), (3, 4)]),
        ([0.9, 0.1, 0.5], 9, 0.0, [(0, 1), (1, 2), (2, 3), (3, 4)]),
        ([0.9, 0.1, 0.5], 1, 0.5, [(0, 2), (2, 4)]),
        ([0.9, 0.1, 0.5], 1, 0.6, [(0, 2), (2, 3), (3, 4)]),
        ([0.5, 0.5], 2, 0.0, [(0, 1), (1, 3)]),
        ([], 3, 0.0, [(0, 1)]),
    ],
)
def test_segments(alike: list[float], least: int, tau: float, pieces: list[tuple[int, int]]) -> None:
    assert segments(torch.tensor(alike), least, tau) == pieces


@pytest.mark.parametrize(
    ("labels", "made"),
    [
        ([0, 0, 1, 1], [0, 0, 1, 1]),
        ([0, 0, 1, 0, 0, 0], [0, 0, 0, 0, 0, 0]),  # both its neighbours are label 0; the shorter piece is given up
        ([1, 1, 0, 2, 2, 2], [1, 1, 2, 2, 2, 2]),
        ([1, 1, 0, 2, 2], [1, 1, 1, 2, 2]),  # equally long: to the left
        ([1, 2, 1, 2], [0, 0, 0, 0]),
        ([2, 2, 1, 2, 2], [2, 2, 2, 2, 2]),
        ([3, 1, 1], [1, 1, 1]),
    ],
)
def test_every_label_has_one_piece(labels: list[int], made: list[int]) -> None:
    assert contiguous(labels) == made


def test_components_are_named_by_their_lowest_node() -> None:
    linked = torch.zeros(6, 6, dtype=torch.bool)
    for a, b in ((0, 3), (3, 5), (1, 2)):
        linked[a, b] = linked[b, a] = True
    assert components(linked).tolist() == [0, 1, 1, 0, 4, 0]
    assert components(linked | torch.eye(6, dtype=torch.bool)).tolist() == [0, 1, 1, 0, 4, 0]


@settings(max_examples=25)
@given(st.integers(1, 7), st.integers(0, 99), st.booleans())
def test_the_farthest_token(n: int, seed: int, weighted: bool) -> None:
    tokens = drawn(n, 3, seed)
    weight = 0.5 + torch.rand(n, generator=torch.Generator().manual_seed(seed + 1), dtype=torch.float64)
    far = 1 - unit(tokens) @ unit(tokens).mT
    scaled = far * weight if weighted else far  # column b: what b is worth times its distances
    picks = [max(range(n), key=lambda b: sorted(float(scaled[a, b]) for a in range(n))[min(1, n - 1)])]
    while len(picks) < n:
        rest = [b for b in range(n) if b not in picks]
        picks.append(max(rest, key=lambda b: min(float(scaled[a, b]) for a in picks)))
    for count in range(n + 1):
        assert max_min(tokens, count, weight=weight if weighted else None).tolist() == picks[:count]


@settings(max_examples=25)
@given(st.integers(1, 7), st.integers(0, 99))
def test_the_widest_coverage(n: int, seed: int) -> None:
    stands, weight = drawn(n, 5, seed), drawn(n, 1, seed + 1).flatten().abs()
    covered, picks = torch.zeros(5, dtype=torch.float64), []
    for _ in range(n):
        rest = [b for b in range(n) if b not in picks]
        picks.append(max(rest, key=lambda b: float((stands[b] - covered).clamp_min(0).sum() * weight[b])))
        covered = torch.maximum(covered, stands[picks[-1]])
    for count in range(n + 1):
        assert coverage(stands, count, weight).tolist() == picks[:count]


@settings(max_examples=25)
@given(st.integers(1, 6), st.integers(0, 99))
def test_the_largest_determinant(n: int, seed: int) -> None:
    root = drawn(n, n + 2, seed)
    kernel, picks = root @ root.mT, []
    for _ in range(n):
        rest = [b for b in range(n) if b not in picks]
        picks.append(max(rest, key=lambda b: float(torch.det(kernel[[*picks, b]][:, [*picks, b]]))))
    for count in range(n + 1):
        assert determinant(kernel, count, 0.0).tolist() == picks[:count]


def test_each_token_is_picked_once_though_nothing_is_left_of_any() -> None:
    assert sorted(determinant(torch.ones(4, 4), 4, 1e-6).tolist()) == [0, 1, 2, 3]
    assert unit(torch.zeros(2, 3)).tolist() == [[0, 0, 0]] * 2
