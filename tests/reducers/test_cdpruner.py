"""CDPruner by embeddings against the rule of OpenVINO GenAI, by CLIP against its released code, written as loops."""

import math

import pytest
import torch
from seeds import seeds
from tokens import Rows, cosine, dot, prompt_of
from torch import Tensor
from views import layout, view

from winnow.reducers.cdpruner import CDPruner
from winnow.reducers.core.errors import UnsupportedError, WinnowError
from winnow.reducers.core.tower import Tower


def unit(tokens: Rows) -> Rows:
    return [[x / math.sqrt(dot(token, token) + 1e-6) for x in token] for token in tokens]


def kernel(tokens: Rows, words: Rows, weight: float, blend: str) -> Rows:
    tokens, words = unit(tokens), unit(words)
    mean = [sum(dot(token, word) for word in words) / len(words) for token in tokens]
    scaled = [(x - min(mean)) / (max(mean) - min(mean) + 1e-6) for x in mean]
    made = []
    for i, a in enumerate(tokens):
        row = []
        for j, b in enumerate(tokens):
            if blend == "exponential" and 0 < weight < 1:
                alpha = weight / (2 * (1 - weight))
                row.append(math.exp(alpha * scaled[i]) * dot(a, b) * math.exp(alpha * scaled[j]))
            else:
                row.append((1 - weight) * dot(a, b) + weight * scaled[i] * dot(a, b) * scaled[j])
        made.append(row)
    return made


def greedy(matrix: Rows, count: int) -> list[int]:
    """The engine's incremental Cholesky."""
    n = len(matrix)
    left, rows, picks = [matrix[i][i] for i in range(n)], [], []
    for _ in range(count):
        best = max((i for i in range(n) if i not in picks), key=lambda i: (left[i], -i))
        row = [matrix[best][j] - sum(r[best] * r[j] for r in rows) for j in range(n)]
        row = [x / math.sqrt(max(0.0, left[best]) + 1e-6) for x in row]
        left = [left[j] - row[j] ** 2 for j in range(n)]
        rows.append(row)
        picks.append(best)
    return picks


def engine(tokens: Rows, words: Rows, size: int, method: CDPruner) -> list[int]:
    kept: list[int] = []
    for start in range(0, len(tokens), size):
        count = max(1, math.floor(size * method.ratio + 0.5))
        count = min(size, count + count % 2)
        middle = start + size // 2
        halves = [(start, middle, count // 2), (middle, start + size, count - count // 2)]
        for first, last, share in halves if method.split else [(start, start + size, count)]:
            if share:
                matrix = kernel(tokens[first:last], words, method.weight, method.blend)
                kept += [first + place for place in greedy(matrix, share)]
    return sorted(kept)


@seeds(240)
def test_the_mask_is_the_engines(seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    grid = tuple(int(torch.randint(1, most, (), generator=random)) for most in (4, 4, 5))
    prompt = layout(grid)
    visual = torch.randn(len(prompt.visual), 48, generator=random, dtype=torch.double)
    if seed % 4 == 0 and len(visual) > 2:
        visual[-1] = visual[0]  # a token that stands twice
    states = prompt_of(visual, prompt, seed)
    method = CDPruner(
        ratio=[0.02, 0.25, 0.5, 0.8][seed % 4],
        weight=[0.5, 0.0, 1.0, 0.3, 0.8][seed % 5],
        blend=("linear", "exponential")[seed % 2],
        split=seed % 3 > 0,
        parts=("frame", "span")[seed % 7 == 0],
    )
    answer = method.reduce(view(prompt, hidden=states))
    words = [row for place, row in enumerate(states.tolist()) if not prompt.is_visual[place]]
    size = grid[1] * grid[2] * (grid[0] if method.parts == "span" else 1)
    kept = range(len(visual)) if answer is None else (answer.keep - 3).tolist()
    assert list(kept) == engine(visual.tolist(), words, size, method)


def test_more_tokens_than_dimensions_are_picked_once_each() -> None:
    prompt = layout((1, 5, 8))
    visual = torch.randn(40, 6, generator=torch.Generator().manual_seed(0))
    answer = CDPruner(ratio=0.5, split=False).reduce(view(prompt, hidden=prompt_of(visual.double(), prompt)))
    assert len(answer.keep) == 20


def test_counts_are_even_and_per_frame() -> None:
    assert CDPruner(ratio=0.25).plan([(4, 25)], 1) == [4 * 6] and CDPruner(ratio=0.01).plan([(3, 9)], 1) == [6]
    assert CDPruner(ratio=0.25, parts="span").plan([(4, 25)], 1) == [26] and CDPruner(ratio=0.1).plan([(2, 1)], 1) == [
        2
    ]
    assert CDPruner().by_frame and not CDPruner(parts="span").by_frame


def test_the_weight_is_checked() -> None:
    with pytest.raises(WinnowError, match=r"reducer\.weight=2"):
        CDPruner(weight=2)


CLIP = Tower(24, 23, 24, 24, cls=True)


def released(tokens: Rows, relevance: list[float], count: int) -> list[int]:
    """Greedy choice of the official code, each token once."""
    n = len(tokens)
    matrix = [[relevance[i] * cosine(tokens[i], tokens[j]) * relevance[j] for j in range(n)] for i in range(n)]
    left, rows, picks = [matrix[i][i] for i in range(n)], [], []
    for _ in range(count):
        best = max((i for i in range(n) if i not in picks), key=lambda i: (left[i], -i))
        row = [(matrix[best][j] - sum(r[best] * r[j] for r in rows)) / math.sqrt(left[best]) for j in range(n)]
        left = [left[j] - row[j] ** 2 for j in range(n)]
        rows.append(row)
        picks.append(best)
    return sorted(picks)


@seeds(160)
def test_by_clip_it_is_the_released_code(seed: int) -> None:
    """Scaled over all pictures of the prompt (official), or over each."""
    random = torch.Generator().manual_seed(seed)
    frames, per = (int(torch.randint(low, high, (), generator=random)) for low, high in ((1, 4), (2, 17)))
    prompt = layout((frames, 1, per))
    visual = torch.randn(frames * per, 48, generator=random, dtype=torch.double)
    method = CDPruner(
        ratio=[0.1, 0.25, 0.5, 0.8][seed % 4], variant=("clip", "official")[seed % 2], text_tower="random"
    )
    alike = torch.randn(prompt.length, generator=random, dtype=torch.double) / 10
    signals = {method.tower_probes(CLIP)[0]: alike}
    answer = method.reduce(view(prompt, hidden=prompt_of(visual, prompt), signals=signals))
    told, count, kept = [-x for x in alike[prompt.visual].tolist()], max(1, int(per * method.ratio + 0.5)), []
    for start in range(0, frames * per, per):
        among = told if method.variant == "official" else told[start : start + per]
        scaled = [
            (x - min(among) + 1e-6) / (max(among) - min(among) + (1e-12 if per == 1 else 0))
            for x in told[start : start + per]
        ]
        picks = released(visual[start : start + per].tolist(), scaled, count)
        kept += [start + place for place in picks]
    assert (list(range(frames * per)) if answer is None else (answer.keep - 3).tolist()) == kept


def official(tokens: Tensor, relevance: Tensor, count: int) -> list[int]:
    """Theia-4869/CDPruner, `llava_arch.py`: a mask of what is picked, by roots of what may be below nothing."""
    units = (tokens / tokens.norm(dim=1, keepdim=True)).float()
    kernel = relevance[:, None] * (units @ units.mT) * relevance
    left, rows, kept = kernel.diagonal().clone(), torch.zeros(0, 1, len(kernel)), set[int]()
    for _ in range(count):
        best = int(left.argmax())  # what is unknown counts as the largest
        kept.add(best)
        row = (kernel[best] - torch.einsum("tb,tbn->bn", rows[:, :, best], rows)[0]) / left[best].sqrt()
        rows, left = torch.cat([rows, row[None, None]]), left - row**2
        left[best] = -math.inf
    return sorted(kept)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("width", [48, 6])
def test_official_picks_again_what_it_has_picked(width: int, dtype: torch.dtype) -> None:
    """Beyond the dimensions of the tokens fewer stay than were asked for."""
    fewer = 0
    for seed in range(20):
        random = torch.Generator().manual_seed(seed)
        prompt = layout((1, 1, 12 + seed))
        visual = torch.randn(12 + seed, width, generator=random).to(dtype)
        method = CDPruner(ratio=0.8, variant="official", text_tower="random")
        alike = torch.randn(prompt.length, generator=random) / 10
        signals, told = {method.tower_probes(CLIP)[0]: alike}, -alike[prompt.visual]
        states = prompt_of(visual, prompt).to(dtype)
        answer = method.reduce(view(prompt, hidden=states, signals=signals))
        scaled = (told - told.min() + 1e-6) / (told.max() - told.min())
        count = int((12 + seed) * 0.8 + 0.5)
        kept = official(visual, scaled, count)
        assert (answer.keep - 3).tolist() == kept and method.adaptive
        fewer += len(kept) < count
    assert (fewer > 10) == (width == 6)


def test_the_variant_decides_what_is_not_said() -> None:
    paper = CDPruner(variant="clip", text_tower="some/clip")
    assert (paper.weight, paper.split, paper.positions) == (1.0, False, "compact")
    assert (CDPruner().weight, CDPruner().split, CDPruner().positions) == (0.5, True, "keep")
    assert CDPruner(variant="clip", text_tower="random", weight=0.3, split=True).weight == 0.3
    assert paper.plan([(1, 576)], 1) == [144] and CDPruner().tower_probes(CLIP) == ()
    with pytest.raises(WinnowError, match=r"needs weights .* say reducer\.text_tower=openai/clip-vit-large"):
        CDPruner(variant="official")
    with pytest.raises(WinnowError, match=r"variant=embedding reads no reducer\.text_tower"):
        CDPruner(text_tower="random")
    with pytest.raises(UnsupportedError, match="none of CLIP"):
        paper.tower_probes(Tower(26, 26, 27, 27, cls=False))
