"""Every statistic of the card against an independent loop, or another library's way to it, on random tables."""

import math
from itertools import combinations
from statistics import NormalDist

import numpy as np
import pytest
from scipy.stats import hypergeom

from winnow.harness.audit.card import Line, Measured, adjusted
from winnow.harness.audit.measures.abilities import ability
from winnow.harness.audit.measures.agreement import kappa
from winnow.harness.audit.measures.calibration import aurc, brier, drawn, ece
from winnow.harness.audit.measures.decline import decline
from winnow.harness.audit.measures.power import detectable, needed, spread
from winnow.harness.audit.measures.sets import by_chance, jaccard
from winnow.harness.audit.measures.speed import amdahl
from winnow.harness.score.layout import lay_out

SEEDS = range(5)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_difference_of_the_detectable_size_is_found_as_often_as_it_says(seed: int) -> None:
    from statsmodels.stats.power import NormalIndPower

    rng = np.random.default_rng(seed)
    up, down = rng.uniform(0.01, 0.3, 2)
    n, deviation = int(rng.integers(50, 3000)), spread(up, down)
    gaps = [1.0] * round(1e5 * up) + [-1.0] * round(1e5 * down) + [0.0] * round(1e5 * (1 - up - down))
    assert deviation == pytest.approx(np.std(gaps), abs=1e-3)
    effect = detectable(deviation, n)
    found = NormalIndPower(ddof=0).solve_power(nobs1=n, alpha=0.05, power=0.8, ratio=0)
    assert effect / deviation == pytest.approx(found, rel=1e-4)
    normal = NormalDist()
    power = 1 - normal.cdf(normal.inv_cdf(0.975) - effect * math.sqrt(n) / deviation)
    assert power == pytest.approx(0.8)


@pytest.mark.parametrize("seed", SEEDS)
def test_as_many_samples_as_are_needed_and_no_fewer_tell_a_difference(seed: int) -> None:
    rng = np.random.default_rng(seed)
    deviation, difference = rng.uniform(0.1, 0.7), rng.uniform(0.01, 0.1)
    n = needed(deviation, difference)
    assert detectable(deviation, n) <= difference < detectable(deviation, n - 1)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_jaccard_index_counts_tokens_one_by_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.random((2, 30)) < rng.random()
    both = sum(1 for i in range(30) if a[i] and b[i])
    either = sum(1 for i in range(30) if a[i] or b[i])
    assert jaccard(a, b) == (both / either if either else 1.0)


@pytest.mark.parametrize(("tokens", "first", "second"), [(6, 3, 2), (7, 4, 4), (5, 5, 2), (5, 0, 2), (5, 0, 0)])
def test_chance_is_the_mean_over_all_pairs_of_sets(tokens: int, first: int, second: int) -> None:
    values = []
    for one in combinations(range(tokens), first):
        for other in combinations(range(tokens), second):
            either = {*one} | {*other}
            values.append(len({*one} & {*other}) / len(either) if either else 1.0)
    assert by_chance(tokens, first, second) == pytest.approx(sum(values) / len(values))


@pytest.mark.parametrize(("tokens", "first", "second"), [(3000, 900, 600), (3000, 2900, 2000), (20000, 9000, 4000)])
def test_chance_in_large_sets_is_hypergeometric(tokens: int, first: int, second: int) -> None:
    overlap = np.arange(second + 1)
    chances = hypergeom.pmf(overlap, tokens, first, second)
    wanted = sum(chances * overlap / (first + second - overlap))
    assert by_chance(tokens, first, second) == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_kappa_is_agreement_beyond_what_the_shares_give(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a = [*rng.choice([*"ABCD"], 80)]
    b = [one if rng.random() < 0.6 else rng.choice([*"ABC"]) for one in a]
    seen = sum(x == y for x, y in zip(a, b, strict=True)) / 80
    chance = sum((a.count(x) / 80) * (b.count(x) / 80) for x in "ABCD")
    assert kappa(a, b) == pytest.approx((seen - chance) / (1 - chance))
    assert kappa(["yes"] * 3, ["yes"] * 3) is None


@pytest.mark.parametrize("seed", SEEDS)
def test_decline_is_the_share_lost_with_the_interval_that_a_jackknife_gives(seed: int) -> None:
    rng = np.random.default_rng(seed)
    theirs = (rng.random(300) < 0.8).astype(float)
    ours = np.where(rng.random(300) < 0.9, theirs, 1 - theirs)
    found = decline(ours, theirs, lay_out([""] * 300))
    assert found.mean == pytest.approx(1 - sum(ours) / sum(theirs))
    without = [1 - (sum(ours) - ours[i]) / (sum(theirs) - theirs[i]) for i in range(300)]
    error = math.sqrt(299 / 300 * sum((one - np.mean(without)) ** 2 for one in without))
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * error, rel=0.02)


def test_nothing_lost_has_an_interval_on_both_sides() -> None:
    found = decline([1.0, 0.0] * 20, [1.0, 0.0] * 20, lay_out([""] * 40))
    assert found.mean == 0 and found.high == pytest.approx(-found.low) and found.high > 0


@pytest.mark.parametrize("seed", SEEDS)
def test_calibration_error_goes_bin_by_bin_and_sample_by_sample(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sure, right = rng.random(200).round(2), (rng.random(200) < 0.7).astype(float)
    wanted = 0.0
    for low in range(10):
        inside = [i for i in range(200) if low / 10 < sure[i] <= (low + 1) / 10 or (low == 0 and sure[i] == 0)]
        if inside:
            wanted += len(inside) / 200 * abs(sum(sure[i] - right[i] for i in inside) / len(inside))
    assert ece(sure, right) == pytest.approx(wanted)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_brier_score_adds_up_options(seed: int) -> None:
    rng = np.random.default_rng(seed)
    chances = [*map(list, rng.dirichlet(np.ones(4), 50))]
    truth = [int(one) for one in rng.integers(0, 4, 50)]
    wanted = [sum((p[k] - (1 if k == t else 0)) ** 2 for k in range(4)) for p, t in zip(chances, truth, strict=True)]
    assert brier(chances, truth) == pytest.approx(wanted)


@pytest.mark.parametrize("seed", SEEDS)
def test_aurc_is_the_mean_risk_over_coverages_in_any_order_of_ties(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sure, right = rng.random(60).round(1), (rng.random(60) < 0.7).astype(float)
    areas = []
    for _ in range(500):  # ties stand in no order: the mean over orders
        order = sorted(range(60), key=lambda i: (-sure[i], rng.random()))
        wrong, risks = 0.0, 0.0
        for k, i in enumerate(order, 1):
            wrong += 1 - right[i]
            risks += wrong / k
        areas.append(risks / 60)
    assert aurc(sure, right) == pytest.approx(np.mean(areas), abs=4 * np.std(areas) / 500**0.5)
    apart = rng.permutation(60) / 60
    order = np.argsort(-apart)
    assert aurc(apart, right) == pytest.approx(np.mean([1 - right[order[: k + 1]].mean() for k in range(60)]))


def test_whole_clusters_are_drawn() -> None:
    values = np.repeat(np.random.default_rng(0).normal(size=100), 4)
    low, high = drawn(lambda places: float(values[places].mean()), np.repeat(np.arange(100), 4))
    assert (high - low) / 2 == pytest.approx(1.96 * values[::4].std() / 10, rel=0.15)


@pytest.mark.parametrize("seed", SEEDS)
def test_amdahl_adds_up_what_is_left_of_each_part(seed: int) -> None:
    parts = np.random.default_rng(seed).uniform(0.1, 9, 4)
    for left in (0.0, 0.3, 1.0):
        seconds = sum(part * (left if place == 2 else 1) for place, part in enumerate(parts))
        assert amdahl(sum(parts), parts[2], left) == pytest.approx(sum(parts) / seconds)
    assert amdahl(3.0, 3.0) == math.inf


@pytest.mark.parametrize("seed", SEEDS)
def test_p_values_are_adjusted_over_all_sections_together(seed: int) -> None:
    ps = np.random.default_rng(seed).uniform(0, 0.1, 6)
    sections = {
        "a": Measured([Line("x", 1, p=ps[0]), Line("no p", 1), Line("y", 1, p=ps[1])]),
        "b": Measured([Line("z", 1, p=p) for p in ps[2:]]),
    }
    wanted, most = {}, 0.0
    for rank, place in enumerate(np.argsort(ps)):  # Holm (1979), step by step
        most = max(most, min(1.0, (6 - rank) * ps[place]))
        wanted[place] = most
    found = [line.p for part in adjusted(sections).values() for line in part.lines if line.p is not None]
    assert found == pytest.approx([wanted[place] for place in range(6)])


@pytest.mark.parametrize(
    ("task", "part", "wanted"),
    [
        ("textvqa_val", "", "OCR"),
        ("mme", "OCR", "OCR"),
        ("pico_video", "pico_count", "counting"),
        ("mvbench_action_sequence", "", "temporal"),
        ("pope_adv", "", "hallucination"),
        ("mme", "landmark", "knowledge"),
        ("refcoco_bbox_rec_val", "", "grounding"),
        ("gqa", "", "perception"),
    ],
)
def test_names_tell_the_ability(task: str, part: str, wanted: str) -> None:
    assert ability(task, part) == wanted
