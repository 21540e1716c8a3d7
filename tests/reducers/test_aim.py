import dataclasses
from typing import Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from views import Noise, layout, view, walk

from winnow.reducers.aim import AIM
from winnow.reducers.aim_merge import AIMMerge
from winnow.reducers.aim_prune import AIMPrune
from winnow.reducers.aim_temporal import AIMTemporal
from winnow.reducers.compose import Compose
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.layout import Grid, Layout
from winnow.reducers.core.probes import PageRank
from winnow.reducers.core.reduction import Reduction
from winnow.reducers.core.schedule import Window
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import Tower, TowerKeys, TowerView

EARLY = Window(2, 5)
Token = tuple[list[float], int, dict[int, float]]
"""A merged token by hand: its vector, the token at whose place it stands, and the share of each original in it."""


def cosine(a: list[float], b: list[float]) -> float:
    norms = sum(x * x for x in a) ** 0.5 * sum(y * y for y in b) ** 0.5
    return sum(x * y for x, y in zip(a, b, strict=True)) / norms if norms else 0.0


def mean(tokens: list[Token], anchor: int) -> Token:
    vector = [sum(values) / len(tokens) for values in zip(*(t[0] for t in tokens), strict=True)]
    return vector, anchor, {i: share / len(tokens) for t in tokens for i, share in t[2].items()}


def merge_once_by_hand(tokens: list[Token], count: int, official: bool) -> list[Token]:
    """One iteration in the spec's words."""
    even, odd = tokens[0::2], tokens[1::2]
    best = [max(range(len(odd)), key=lambda j, a=a: (cosine(a[0], odd[j][0]), -j)) for a in even]
    ranked = sorted(range(len(even)), key=lambda i: (-cosine(even[i][0], odd[best[i]][0]), i))
    gone, left = ranked[:count], ranked[count:]
    merged = [mean([b, *(even[i] for i in sorted(gone) if best[i] == j)], b[1]) for j, b in enumerate(odd)]
    result = [even[i] for i in left] + merged
    return result if official else sorted(result, key=lambda token: token[1])


def counts_by_hand(tokens: int, halvings: int, paper: bool) -> list[int]:
    """How many tokens full halvings leave, step by step."""
    counts = [tokens]
    for i in range(1, halvings + 1):
        counts.append(max(1, counts[-1] // 2) if paper else counts[-1] - min(int(tokens / 2**i), counts[-1] // 2))
    return counts


def dense(answer: Reduction | None, visual: int) -> tuple[list[int], torch.Tensor]:
    """Anchors (counted from the first visual token) and dense weights of an answer."""
    if answer is None:
        return list(range(visual)), torch.eye(visual)
    return (answer.keep - 3).tolist(), answer.weights.to_dense()


def check(tokens: list[Token], anchors: list[int], weights: torch.Tensor) -> None:
    assert anchors == sorted(token[1] for token in tokens)
    expected = torch.zeros(len(tokens), weights.shape[1])
    for row, (_, _, shares) in enumerate(tokens):
        for column, share in shares.items():
            expected[row, column] = share
    assert torch.allclose(weights, expected, atol=1e-6)


@settings(deadline=None, max_examples=120, derandomize=True)
@given(
    st.integers(1, 3),
    st.integers(1, 13),
    st.integers(0, 4),
    st.booleans(),
    st.booleans(),
    st.sampled_from([torch.float32, torch.bfloat16]),
    st.integers(0, 10**6),
)
def test_merging_is_its_paragraph(
    frames: int, tokens: int, halvings: int, paper: bool, official: bool, dtype: torch.dtype, seed: int
) -> None:
    prompt = layout((frames, 1, tokens))
    hidden = torch.randn(prompt.length, 6, generator=torch.Generator().manual_seed(seed)).to(dtype)
    method = AIMMerge(
        ratio=0.5**halvings, counts="paper" if paper else "code", order="official" if official else "raster"
    )
    result: list[Token] = []
    for frame in range(frames):
        places = range(frame * tokens, (frame + 1) * tokens)
        state: list[Token] = [(hidden[3 + i].double().tolist(), i, {i: 1.0}) for i in places]
        for count in counts_by_hand(tokens, halvings, paper)[1:]:
            state = merge_once_by_hand(state, len(state) - count, official) if len(state) > count else state
        result += state
    check(result, *dense(method.reduce(view(prompt, hidden=hidden)), frames * tokens))


@settings(deadline=None, max_examples=120)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(-2, 2)), min_size=2, max_size=17), st.floats(0.5, 1))
def test_merging_breaks_ties_to_the_left(values: list[tuple[int, int]], ratio: float) -> None:
    """Vectors along the axes, zero among them: every cosine is -1, 0 or 1 exactly."""
    prompt = layout((1, 1, len(values)))
    hidden = torch.zeros(prompt.length, 3)
    for i, (axis, length) in enumerate(values):
        hidden[3 + i, axis] = length
    count = min(len(values) // 2, int(len(values) * ((1.0 if ratio > 0.5 else 0.5) - ratio) + 1e-9))
    count = len(values) // 2 if ratio == 0.5 else count
    state: list[Token] = [(hidden[3 + i].double().tolist(), i, {i: 1.0}) for i in range(len(values))]
    check(
        merge_once_by_hand(state, count, False),
        *dense(AIMMerge(ratio=ratio).reduce(view(prompt, hidden=hidden)), len(values)),
    )


@pytest.mark.parametrize(
    ("ratio", "code", "paper"),
    [
        (1.0, 6272, 6272),
        (0.5, 3136, 3136),
        (0.375, 74 * 32, 74 * 32),
        (0.25, 1568, 1568),
        (0.125, 800, 768),
        (0.0625, 416, 384),
        (0.03125, 224, 192),
        (0.015625, 128, 96),
    ],
)
def test_counts_of_the_video_tables(ratio: float, code: int, paper: int) -> None:
    assert AIMMerge(ratio=ratio).plan([(32, 196)], 28) == [code] * 28
    assert AIMMerge(ratio=ratio, counts="paper").plan([(32, 196)], 28) == [paper] * 28


def test_counts_of_the_other_tables() -> None:
    assert AIMMerge(ratio=0.4375).plan([(1, 576)], 32)[0] == 252
    assert AIMMerge(ratio=0.125).plan([(1, 576)], 32)[0] == 72
    assert AIMMerge(ratio=0.25).plan([(16, 256)], 28)[0] == 1024
    assert AIMMerge(images=False).plan([(1, 576), (4, 196)], 32)[0] == 576 + 196
    assert AIMTemporal(ratio=1 / 32).plan([(32, 196)], 28)[0] == 196
    assert AIMTemporal(ratio=0.25).plan([(9, 196)], 28)[0] == 3 * 196


FALLING = [1372, 1176, 980, 784, 588, 392, 196]


def test_counts_of_pruning() -> None:
    assert AIM().plan([(32, 196)], 28) == [1568] * 15 + FALLING + [0] * 6
    assert AIM(apply="same").plan([(32, 196)], 28) == [1568] * 14 + FALLING + [0] * 7
    image = AIM(ratio=0.4375, apply="same", schedule=Window(13, 21)).plan([(1, 576)], 32)
    assert image == [252] * 13 + [220, 189, 157, 126, 94, 63, 31] + [0] * 12


@pytest.mark.parametrize(
    ("window", "tflop"),
    [
        ((28, 29), 22.90),
        ((21, 29), 20.15),
        ((14, 29), 17.41),
        ((7, 29), 14.67),
        ((21, 22), 17.50),
        ((14, 22), 14.76),
        ((7, 22), 12.01),
        ((14, 15), 12.10),
        ((7, 15), 9.36),
        ((7, 8), 6.71),
    ],
)
def test_windows_of_table_e_explain_its_flops(window: tuple[int, int], tflop: float) -> None:
    visual = AIM(apply="same", schedule=Window(*window)).plan([(32, 196)], 28)
    assert flops(visual) == pytest.approx(tflop, abs=0.011)


@pytest.mark.parametrize(
    ("ratio", "printed", "labelled"),
    [(0.125, 11.14, 7.752), (0.0625, 6.17, 4.496), (0.03125, 3.72, 2.894), (0.015625, 2.51, 2.100)],
)
def test_a_small_slope_explains_the_joint_table(ratio: float, printed: float, labelled: float) -> None:
    method = AIM(ratio=ratio, counts="paper", apply="same", slope=0.0125)
    assert flops(method.plan([(32, 196)], 28)) == pytest.approx(printed, abs=0.02)
    method = AIM(ratio=ratio, counts="paper", apply="same")
    assert flops(method.plan([(32, 196)], 28)) == pytest.approx(labelled, abs=0.02)


def flops(visual: list[int]) -> float:
    """TFLOP of Qwen2-7B's prefill as AIM counts them, with 100 text tokens."""
    d, mlp, heads, vocabulary = 3584, 18944, 28, 152064
    matrices = 2 * (2 * d * d + 2 * d * d * 4 / 28 + 3 * d * mlp)
    rest = 14 * d + d + 2 * d
    lengths = [n + 100 for n in visual]
    return (sum(n * (matrices + rest) + n * n * (4 * d + 5 * heads) for n in lengths) + d * vocabulary) / 1e12


def prune_by_hand(prompt: Layout, signals: Noise, depth: int, l1: int, l2: int, same: bool) -> list[list[int]]:
    """Section 2.3 of the spec, layer by layer: text scores 1, the dead -1, and `int(text + rate * visual)` live on."""
    visual = prompt.visual.tolist()
    alive, seen = set(range(prompt.length)), []
    for layer in range(depth):
        ruling = layer if same else layer - 1
        rate = 1.0 if ruling < l1 else max(0.0, 1 - (ruling - l1 + 1) / (l2 - l1))
        if layer and rate < 1:
            importance = signals[PageRank(), layer - 1]
            score = [
                100.0 if i not in visual else float(importance[i]) if i in alive else -1.0 for i in range(prompt.length)
            ]
            ranked = sorted(range(prompt.length), key=lambda i: (-score[i], i))
            alive = set(ranked[: int(prompt.length - len(visual) + rate * len(visual) + 1e-9)]) & alive
        seen.append(sorted(alive))
    return seen


@settings(deadline=None, max_examples=150)
@given(st.integers(1, 4), st.integers(1, 9), st.integers(1, 6), st.integers(1, 4), st.booleans(), st.integers(0, 10**6))
def test_pruning_is_its_paragraph(frames: int, tokens: int, l1: int, span: int, same: bool, seed: int) -> None:
    prompt, depth = layout((frames, 1, tokens)), 8
    method = AIMPrune(apply="same" if same else "next", schedule=Window(l1, min(9, l1 + span)))
    by_hand = prune_by_hand(prompt, Noise(prompt, seed), depth, l1, min(9, l1 + span), same)
    signals = Noise(prompt, seed)
    for layer in range(depth):  # drawn in the same order
        signals[PageRank(), layer] if layer in {at for _, at in method.probes(depth)} else None
    seen = [index.tolist() for index in walk(method, prompt, depth, seed)]
    assert [len(x) for x in seen] == [len(x) for x in by_hand]
    assert seen == by_hand


@pytest.mark.parametrize("prune", ["text", "question"])
def test_the_ablation_prunes_text(prune: str) -> None:
    prompt = dataclasses.replace(layout((2, 2, 2), (1, 2, 2), tail=9), separators=torch.tensor([11]))
    seen = walk(AIMPrune(prune=prune, schedule=EARLY), prompt, 7)
    question = set(range(17, 25))
    for index in seen:
        assert set(prompt.visual.tolist()) | {0, 11, prompt.length - 1} <= set(index.tolist())
        assert prune == "text" or set(range(prompt.length)) - question <= set(index.tolist())
    candidates = {"text": 2 + 1 + 8, "question": 8}[prune]
    assert [prompt.length - len(index) for index in seen] == [
        candidates - int(candidates * share + 1e-9) for share in (1, 1, 1, 2 / 3, 1 / 3, 0, 0)
    ]
    assert AIMPrune(prune=prune, schedule=EARLY).plan([(2, 4), (1, 4)], 7) == [12] * 7


@pytest.mark.parametrize(("select", "gone"), [("highest", [5, 6, 7, 8]), ("lowest", [2, 3, 4, 7])])
def test_pruned_text_is_the_least_or_the_most_attended(select: Literal["highest", "lowest"], gone: list[int]) -> None:
    """Of seven between the first token and the last three stay half way through the window."""
    prompt = layout((1, 1, 1), head=1, tail=8)
    method = AIMPrune(prune="text", select=select, schedule=Window(2, 4))
    score = torch.tensor([1.0, 0, 7, 6, 8, 3, 2, 5, 4, 0])
    answer = method.reduce(view(prompt, 3, {(PageRank(), 2): score}, depth=7))
    assert answer.drop_text is not None and answer.drop_text.tolist() == gone


def test_each_span_has_its_own_share() -> None:
    prompt = layout((2, 2, 2), (1, 1, 3))
    last = walk(AIMPrune(scope="span", schedule=EARLY), prompt, 7)[4]
    assert [int(torch.isin(last, span.positions).sum()) for span in prompt.spans] == [2, 1]


@pytest.mark.parametrize(
    "options", [{}, {"order": "official", "counts": "paper"}, {"apply": "same", "positions": "keep"}]
)
@pytest.mark.parametrize("grids", [[(4, 5, 5)], [(3, 3, 3), (1, 2, 4)]])
def test_both_is_merging_and_pruning_together(options: dict, grids: list[tuple[int, int, int]]) -> None:
    merging = {key: value for key, value in options.items() if key != "apply"}
    pruning = {key: value for key, value in options.items() if key == "apply"}
    both = AIM(ratio=0.25, schedule=EARLY, **options)
    pair = Compose(AIMMerge(ratio=0.25, **merging), AIMPrune(schedule=EARLY, **pruning))
    prompt = layout(*grids)
    spans = [span.grid for span in prompt.spans]
    one, two = walk(both, prompt, 7), walk(pair, prompt, 7)
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    assert both.plan(spans, 7) == pair.plan(spans, 7) == [int(prompt.is_visual[index].sum()) for index in one]
    assert both.probes(7) == pair.probes(7) and both.positions == pair.positions


@settings(deadline=None, max_examples=120, derandomize=True)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 3), st.booleans(), st.integers(0, 10**6))
def test_temporal_merging_is_its_paragraph(frames: int, tokens: int, times: int, aligned: bool, seed: int) -> None:
    prompt = layout((frames, 1, tokens))
    hidden = torch.randn(prompt.length, 5, generator=torch.Generator().manual_seed(seed))
    state = [
        [(hidden[3 + f * tokens + p].double().tolist(), f * tokens + p, {f * tokens + p: 1.0}) for p in range(tokens)]
        for f in range(frames)
    ]
    for _ in range(times):
        merged = []
        for early, late in zip(state[0::2], state[1::2], strict=False):
            best = [max(range(tokens), key=lambda j, a=a, late=late: (cosine(a[0], late[j][0]), -j)) for a in early]
            best = list(range(tokens)) if aligned else best
            groups = [[late[j], *(a for a, b in zip(early, best, strict=True) if b == j)] for j in range(tokens)]
            merged.append([mean(group, group[0][1]) for group in groups])
        state = merged + ([state[-1]] if len(state) % 2 else [])
    answer = AIMTemporal(ratio=0.5**times, aligned=aligned).reduce(view(prompt, hidden=hidden))
    check([token for frame in state for token in frame], *dense(answer, frames * tokens))


def test_merging_by_keys_acts_on_the_towers_features() -> None:
    tower = Tower(blocks=4, used=3, rows=3, cols=3, cls=True)
    method = AIMMerge(ratio=0.5, metric="keys")
    assert method.sites(6, tower) == (Site.features(tower),) and method.sites(6) == ()
    assert method.plan_tower(6, tower) == [9, 9, 9, 5]
    keys = torch.randn(9, 2, 3, generator=torch.Generator().manual_seed(1))
    frame = TowerView(Site.features(tower), torch.zeros(9, 4), torch.arange(9), torch.ones(9), {(TowerKeys(), 3): keys})
    answer = method.reduce(frame)
    state = [(keys[i].flatten().double().tolist(), i, {i: 1.0}) for i in range(9)]
    check(merge_once_by_hand(state, 4, False), answer.keep.tolist(), answer.weights.to_dense())


def test_a_video_merges_without_an_n_by_n_matrix() -> None:
    prompt = layout((32, 14, 14))
    hidden = torch.randn(prompt.length, 8, generator=torch.Generator().manual_seed(0))
    answer = AIMMerge(ratio=0.125).reduce(view(prompt, hidden=hidden))
    assert answer.weights.shape == (800, 6272) and answer.weights._nnz() == 6272
    assert torch.allclose(answer.weights.to_dense().sum(1), torch.ones(800), atol=1e-5)


def test_what_pruning_refuses() -> None:
    with pytest.raises(WinnowError, match=r"ratio=0.3 means nothing to pruning alone: set schedule.l1 and schedule.l2"):
        AIMPrune(ratio=0.3)
    with pytest.raises(WinnowError, match=r"reducer.slope=-1"):
        AIMPrune(slope=-1)
    with pytest.raises(WinnowError, match=r"ratio=0.3 is not allowed: this method halves, choose 1, 0.5, 0.25"):
        AIMTemporal(ratio=0.3)


def test_iterations_by_the_codes_knob() -> None:
    """The official schedules: LLaVA-1.5 at 43.75 % is 288, then 36; too many are half of what is there."""
    frame = Grid(1, 576, 24)
    assert AIMMerge(r=(288, 36)).removals(frame) == AIMMerge(ratio=0.4375).removals(frame) == [288, 36]
    assert AIMMerge(r=98).plan([(32, 196)], 1) == [32 * 98] and AIMMerge(r=(98, 98)).removals(Grid(2, 196)) == [98, 49]
    assert AIM(r=(98, 49, 24)).plan([(32, 196)], 28)[0] == 32 * 25 and AIM(r=[5, 0]).r == (5, 0)
    assert AIMMerge(r=3).keep_all().removals(frame) == []
    with pytest.raises(WinnowError, match=r"reducer.r=-1 is not allowed: choose 0 or more tokens per iteration"):
        AIMMerge(r=-1)
