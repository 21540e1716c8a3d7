"""Each section on tables made by hand: what it finds where there is something to find, and where there is nothing."""

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.stats
from audited import TOKENS, ran
from written import result, task

from winnow.harness.audit.card import Check, Line, State, adjusted
from winnow.harness.audit.measures.abilities import abilities as abilities_of
from winnow.harness.audit.runs import Ran
from winnow.harness.audit.sections import (
    abilities,
    budget,
    calibration,
    gate,
    hard,
    horizon,
    length,
    loyalty,
    nothing,
    positions,
    savings,
    stability,
    swap,
)

N = 100
RNG = np.random.default_rng(0)
DRAWN = [sorted(RNG.choice(TOKENS, 10, replace=False)) for _ in range(N)]
CHOSEN = [sorted(RNG.choice(TOKENS, 10, replace=False)) for _ in range(N)]
GOOD, BAD = [1.0] * 95 + [0.0] * 5, [1.0] * 60 + [0.0] * 40


def spending(share: float, **more: Any) -> Any:
    return result("run", "t", shares={"entrance": share, "mean": share, "last": share}, **more)


def judged(check: Check, **runs: Ran) -> tuple[State, str, dict[str, Line]]:
    lines = adjusted({"": check.measure(runs)})[""].lines
    return *check.judge(lines), {f"{line.what} {line.on}".strip(): line for line in lines}


def test_what_removes_nothing_is_a_no_op() -> None:
    whole = [[*range(TOKENS)]] * N
    state, says, _ = judged(gate.CHECK, method=ran(GOOD, kept=whole), unreduced=ran(GOOD, kept=whole))
    assert state == "finding" and "no-op" in says


def test_one_letter_far_too_often_is_found_against_the_truth_and_the_unreduced_model() -> None:
    truth = [*"ABCD"] * 25
    stuck = ["D" if i % 3 else letter for i, letter in enumerate(truth)]
    scores = [float(a == b) for a, b in zip(stuck, truth, strict=True)]
    method = ran(scores, stuck, truth, CHOSEN)
    state, says, lines = judged(gate.CHECK, method=method, unreduced=ran([1.0] * N, truth, truth))
    assert state == "finding" and re.search(r"'d' too often: said in 75 %, true in 25 %", says)
    assert lines["broken (right before, wrong now) t"].value == scores.count(0)
    for letter in "ABCD":
        bar = lines[f"answers that say '{letter.lower()}'"]
        assert bar.value == stuck.count(letter) and "true in 25 %, said by the unreduced model in 25 %" in bar.note
    same = ran([1.0] * N, stuck, truth)  # if the unreduced model says so as well, it is not the method's doing
    assert judged(gate.CHECK, method=method, unreduced=same)[0] != "finding"


def test_broken_and_fixed_and_what_shows_follow_from_the_pairs() -> None:
    method, base = ran([1, 0, 0, 1, 1, 1], kept=CHOSEN), ran([1, 1, 1, 0, 1, 1])
    _, _, lines = judged(gate.CHECK, method=method, unreduced=base)
    assert lines["broken (right before, wrong now) t"].value == 2
    assert lines["fixed (wrong before, right now) t"].value == 1
    up, down = 2 / 8, 3 / 8
    deviation = (up + down - (up - down) ** 2) ** 0.5
    assert lines["smallest difference that shows (80 %) t"].value == pytest.approx(280.2 * deviation / 6**0.5, rel=1e-3)
    wanted = np.ceil((280.2 * deviation) ** 2)
    assert lines["questions for 1 point (80 %) t"].value == pytest.approx(wanted, rel=1e-3)


def test_sets_are_held_against_chance_random_and_the_next_sample() -> None:
    base, random, free = ran(GOOD), ran(GOOD, kept=DRAWN), [f"answer {i}" for i in range(N)]
    state, _, lines = judged(gate.CHECK, method=ran(BAD, free, kept=CHOSEN), unreduced=base, random=random)
    assert state == "sound"
    assert lines["Jaccard index with what random dropping kept"].value == pytest.approx(1 / 3, abs=0.05)
    for kept, found in ((DRAWN, "random dropping keeps"), ([DRAWN[0]] * N, "does not look")):
        state, says, _ = judged(gate.CHECK, method=ran(BAD, free, kept=kept), unreduced=base, random=random)
        assert state == "finding" and found in says


def test_tokens_that_go_without_a_trace_leave_the_question_open() -> None:
    state, says, _ = judged(gate.CHECK, method=ran(GOOD, kept=CHOSEN), unreduced=ran(GOOD))
    assert state == "open" and "cannot tell" in says


@pytest.mark.parametrize(
    ("random", "state", "says"),
    [(BAD, "sound", "better than each of 2"), (GOOD, "finding", "cannot be told from"), ([1.0] * N, "finding", "")],
)
def test_controls_are_beaten_or_not(random: list[float], state: State, says: str) -> None:
    runs = {"method": ran(GOOD), "random": ran(random), "blind": ran([0.0] * N)}
    found, text, lines = judged(nothing.CHECK, **runs)
    assert found == state and says in text and lines["no picture at all t"].value == 95


def test_a_control_that_is_better_is_named() -> None:
    state, says, _ = judged(nothing.CHECK, method=ran(BAD), random=ran([0.0] * N), uniform=ran(GOOD))
    assert state == "finding" and says.startswith("worse than uniform sampling (t: -35.0)")


def test_hard_samples_are_those_that_less_input_gets_wrong() -> None:
    small = ran([1.0] * 50 + [0.0] * 50)
    method, random = ran([1.0] * 50 + [1.0] * 25 + [0.0] * 25), ran([1.0] * 50 + [0.0] * 50)
    runs = {"method": method, "unreduced": ran([1.0] * 100), "downsample": small, "random": random}
    state, says, lines = judged(hard.CHECK, **runs)
    assert state == "sound" and says.startswith("50 % of the unreduced accuracy")
    assert lines["method, hard: less input is wrong t"].value == 50
    assert lines["method, easy: less input is right t"].value == 100
    assert lines["average decline ratio, easy: less input is right"].value == 0
    assert judged(hard.CHECK, **(runs | {"method": random}))[0] == "finding"
    assert judged(hard.CHECK, **(runs | {"unreduced": small}))[0] == "open"


def test_calibration_is_lost_where_wrong_answers_are_as_sure_as_right_ones() -> None:
    sure, unsure = float(np.log(0.95)), float(np.log(0.5))
    base = ran(BAD, logprob=[sure if right else unsure for right in BAD])
    blind = ran(BAD, logprob=[sure] * N)
    state, says, lines = judged(calibration.CHECK, method=blind, unreduced=base)
    assert state == "finding" and lines["ECE, method"].value == pytest.approx(0.35) and "less well" in says
    assert judged(calibration.CHECK, method=base, unreduced=base)[0] == "sound"
    assert judged(calibration.CHECK, method=ran(BAD), unreduced=base)[0] == "open"


def test_calibration_stands_at_each_budget() -> None:
    sure = [float(np.log(0.95))] * N
    half, tenth = (
        replace(ran(scores, logprob=sure), result=spending(share)) for scores, share in ((BAD, 0.5), (GOOD, 0.1))
    )
    method, base = replace(half, budgets=[half, tenth]), replace(ran(GOOD, logprob=sure), result=spending(1.0))
    _, _, lines = judged(calibration.CHECK, method=method, unreduced=base)
    for share, right in ((100, 0.95), (50, 0.6), (10, 0.95)):
        assert lines[f"ECE, at {share}.0 % of the visual tokens"].value == pytest.approx(0.95 - right)
    (curve,) = calibration.CHECK.measure({"method": method, "unreduced": base}).curves
    assert [x for x, *_ in curve.points] == [100, 50, 10] and all(low <= y <= high for _, y, low, high in curve.points)


def test_options_are_weighed_against_each_other() -> None:
    truth = ["yes", "no"] * 50
    options = [(float(np.log(0.06)), float(np.log(0.02)))] * N  # 3 to 1 for yes
    method = ran(GOOD, truth=truth, options=options)
    _, _, lines = judged(calibration.CHECK, method=method, unreduced=method)
    assert lines["ECE, method"].value == pytest.approx(0.25)
    assert lines["Brier score, method"].value == pytest.approx((2 * 0.25**2 + 2 * 0.75**2) / 2)


def test_length_is_that_of_tokens_where_they_were_counted() -> None:
    base, longer = ran(GOOD, new=[10] * N), ran(GOOD, new=[20] * N, cut=[True, False] * 50)
    state, says, lines = judged(length.CHECK, method=longer, unreduced=base)
    assert state == "finding" and "50 % of its answers are cut off" in says
    assert lines["longer than the unreduced answer"].value == 10
    state, says, _ = judged(length.CHECK, method=ran(GOOD, ["one two three"] * N), unreduced=ran(GOOD, ["one two"] * N))
    assert state == "finding" and "+1.0 words" in says
    assert judged(length.CHECK, method=base, unreduced=base)[0] == "sound"


def test_accuracy_by_length_takes_every_answer_once() -> None:
    says = ["w " * (1 + i % 7) for i in range(N)]
    _, _, lines = judged(length.CHECK, method=ran(GOOD, says), unreduced=ran(GOOD, says))
    parts = [line for line in lines.values() if line.what.startswith("method, ")]
    assert len(parts) == 3 and sum(part.n or 0 for part in parts) == N


def test_loyalty_is_more_than_agreement_by_chance() -> None:
    says = [*"ABCD"] * 25
    other = ["A"] * N
    runs = {"method": ran(GOOD, [*says[:90], *"E" * 10]), "unreduced": ran(GOOD, says)}
    state, text, lines = judged(loyalty.CHECK, **runs, random=ran(GOOD, other))
    assert state == "sound" and lines["same answer"].value == 90 and "+65.0 points" in text
    assert judged(loyalty.CHECK, **runs, random=runs["method"])[0] == "finding"
    assert judged(loyalty.CHECK, **runs)[0] == "open"


def cost(tflops: float, **more: Any) -> dict[str, Any]:
    return {"profile": "physical", "tflops": tflops, "flops_share": 0.5, "kv_bytes": tflops, **more}


def bench(batch: int, seconds: float) -> dict[str, Any]:
    one, base = {"ttft": seconds, "tpot": seconds}, {"ttft": 1.0, "tpot": 1.0}
    return {"batch": batch, "new_tokens": 3, "rounds": [one] * 6, "base": [base] * 6}


def test_savings_are_modelled_bounded_and_measured() -> None:
    parts = {"vision tower": 60.0, "LLM layers": 40.0}
    method = ran(GOOD, cost=cost(1.0, parts=parts))
    base = ran(GOOD, cost=cost(2.0))
    state, _, lines = judged(savings.CHECK, method=method, unreduced=base)
    assert state == "open" and lines["FLOPs of the LLM's prefill"].value == 50
    assert lines["best speed-up of the whole prefill, were the LLM's layers free"].value == pytest.approx(100 / 60)
    assert lines["speed-up of the whole prefill, modelled"].value == pytest.approx(100 / 80)
    fast = replace(method, benches=[bench(8, 0.8), bench(1, 0.5)])
    state, _, lines = judged(savings.CHECK, method=fast, unreduced=base)
    assert state == "sound" and lines["measured throughput, against unreduced batch size 1"].value == pytest.approx(2)
    slow = replace(method, benches=[bench(1, 0.5), bench(32, 1.9)])
    state, says, _ = judged(savings.CHECK, method=slow, unreduced=base)
    assert state == "finding" and "batch size 32" in says


def test_abilities_are_won_tied_and_lost() -> None:
    parts = ["count"] * 50 + ["ocr"] * 50
    method, random = ran([1.0] * 50 + [0.0] * 50, parts=parts), ran([0.0] * 50 + [1.0] * 50, parts=parts)
    state, says, lines = judged(abilities.CHECK, method=method, random=random, unreduced=random)
    assert state == "finding" and "wins 1, ties 0, loses 1 of 2" in says and "loses OCR" in says
    assert lines["minus random dropping counting"].note == "50 won, 0 tied, 0 lost"
    assert "hallucination" in abilities.CHECK.measure({"method": method, "unreduced": random}).lacking


def test_the_budget_is_that_of_every_sample_in_every_order() -> None:
    state, says, lines = judged(budget.CHECK, method=ran(GOOD, kept=CHOSEN), reordered=ran(GOOD, kept=CHOSEN))
    assert state == "sound" and lines["visual tokens, mean over layers"].value == 75
    moved = ran(GOOD, kept=[*CHOSEN[:98], DRAWN[0], DRAWN[1]])
    state, says, _ = judged(budget.CHECK, method=ran(GOOD, kept=CHOSEN), reordered=moved)
    assert state == "finding" and says.startswith("2.0 %")
    uneven = ran(GOOD, kept=[[0]] * (N - 1) + [[*range(TOKENS)]])
    state, says, lines = judged(budget.CHECK, method=uneven)
    assert state == "finding" and "at most 100.0 %" in says
    shares = [0.525] * (N - 1) + [1.0]
    wanted = (sum((one - sum(shares) / N) ** 2 for one in shares) / (N - 1)) ** 0.5
    assert lines["visual tokens, mean over layers: deviation between samples"].value == pytest.approx(100 * wanted)


def at(layer: int, scores: list[float], **more: Any) -> Ran:
    """A run that drops half of the tokens at some of four layers."""
    made = ran(scores, **more)
    layers = tuple(TOKENS if place < layer else 10 for place in range(4))
    return replace(made, answers={key: replace(one, per_layer=layers) for key, one in made.answers.items()})


def test_the_horizon_is_where_random_dropping_does_as_well() -> None:
    runs = {"method": at(2, GOOD), "random at the entrance": at(0, BAD), "random after half": at(2, BAD)}
    runs |= {"random after three quarters": at(3, GOOD)}
    choice = {"choice after half": at(2, GOOD), "choice after three quarters": at(3, GOOD)}
    state, says, lines = judged(horizon.CHECK, **runs, **choice)
    assert state == "sound" and says == "t: from layer 3 on random dropping does as well"
    assert lines["its choice minus random, at layer 2 t"].value == 35
    (random, own) = horizon.CHECK.measure({**runs, **choice}).curves
    assert [x for x, *_ in random.points] == [0, 2, 3] and [x for x, *_ in own.points] == [2, 3]
    same = {"choice after half": at(2, BAD)}
    assert judged(horizon.CHECK, **runs, **same)[0] == "finding" and judged(horizon.CHECK, **runs)[0] == "open"


def test_a_horizon_behind_the_entrance_is_where_dropping_more_is_free() -> None:
    runs = {"method": ran(GOOD), "random at the entrance": at(0, BAD)}
    then = {"choice after half": at(2, BAD, reducer="compose"), "choice after three quarters": at(3, GOOD)}
    state, says, _ = judged(horizon.CHECK, **runs, **then)
    assert state == "sound" and says == "t: from layer 3 on random dropping is free"


def test_positions_are_held_against_the_other_way() -> None:
    other = {"knobs": {"positions": "compact"}}
    parts = ["position"] * N
    state, says, lines = judged(positions.CHECK, method=ran(BAD, parts=parts), renumbered=ran(GOOD, **other))
    assert state == "finding" and "positions=compact is better by 35.0" in says
    assert lines["as it is, minus reducer.positions=compact t, grounding"].value == -35
    assert judged(positions.CHECK, method=ran(GOOD), renumbered=ran(BAD, **other))[0] == "sound"
    restart = ran(GOOD, knobs={"positions": "restart"})
    state, says, _ = judged(positions.CHECK, method=ran(BAD), renumbered=ran(BAD, **other), restarted=restart)
    assert state == "finding" and "positions=restart is better by 35.0" in says
    state, says, _ = judged(positions.CHECK, method=ran(GOOD), renumbered=ran(GOOD, **other), restarted=restart)
    assert says == "reducer.positions=compact and reducer.positions=restart make no difference that shows"
    assert positions.CHECK.measure({"method": ran(GOOD), "renumbered": ran(BAD, **other)}).lacking


def test_another_question_chooses_other_tokens_or_the_same() -> None:
    runs = {"method": ran(GOOD, kept=CHOSEN), "asked otherwise": ran(GOOD, kept=DRAWN)}
    replayed = {"own tokens": ran(GOOD), "other tokens": ran(BAD)}
    state, says, _ = judged(swap.CHECK, **runs, **replayed)
    assert state == "finding" and "-35.0 points on t" in says
    assert judged(swap.CHECK, **runs)[0] == "open"
    state, says, lines = judged(swap.CHECK, **(runs | {"asked otherwise": ran(GOOD, kept=CHOSEN)}))
    assert state == "sound" and "does not look at the question" in says
    assert lines["Jaccard index of what both questions choose"].value == 1


def test_a_set_that_changes_with_a_pixel_is_found() -> None:
    method = ran(GOOD, kept=CHOSEN)
    state, says, _ = judged(stability.CHECK, method=method, reencoded=method, shifted=ran(GOOD, kept=DRAWN))
    assert state == "finding" and "after one pixel's shift" in says
    state, _, lines = judged(stability.CHECK, method=method, reencoded=method, shifted=method)
    assert state == "sound" and lines["Jaccard index of kept sets JPEG once more"].value == 1


def test_a_second_turn_is_charged_with_what_it_costs_beyond_the_first() -> None:
    """The same tokens, asked about second: what the unreduced model loses there as well is not the method's doing."""
    rng = np.random.default_rng(3)
    first, base, second, plain = rng.integers(0, 2, (4, N)).astype(float)
    asked = ran([*first], kept=CHOSEN)
    runs = {"method": asked, "asked otherwise": asked, "unreduced": ran([*base])}
    runs |= {"second turn": ran([*second]), "second turn unreduced": ran([*plain])}
    state, says, lines = judged(swap.CHECK, **runs)
    gaps = [s - p - (f - b) for s, p, f, b in zip(second, plain, first, base, strict=True)]
    found = lines["what being asked second costs beyond what it costs the unreduced model t"]
    assert found.value == pytest.approx(100 * sum(gaps) / N)
    half = float(scipy.stats.sem(gaps) * scipy.stats.t.ppf(0.975, N - 1))
    assert (found.low, found.high) == pytest.approx((found.value - 100 * half, found.value + 100 * half))
    assert lines["minus unreduced, asked second in the same conversation t"].value == pytest.approx(
        100 * float((second - plain).mean())
    )
    assert state == "sound" and "does not look at the question" in says
    lost = runs | {"method": replace(ran(GOOD), fates=asked.fates), "second turn": ran([0.0] * N)}
    state, says, _ = judged(swap.CHECK, **lost | {"unreduced": ran(GOOD), "second turn unreduced": ran(GOOD)})
    assert state == "finding" and says == "a question that is asked second loses 95.0 points more on t"


def test_sinks_among_the_kept_are_counted_where_the_unreduced_run_saw_them() -> None:
    rng = np.random.default_rng(4)
    sinks = [
        tuple(sorted(int(place) for place in rng.choice(TOKENS, rng.integers(0, 5), replace=False))) for _ in DRAWN
    ]
    base = ran(GOOD, sinks=sinks, rank=[9.0] * N)
    kept = {"method": CHOSEN, "random": DRAWN}
    runs = {name: ran(GOOD, kept=places) for name, places in kept.items()} | {"unreduced": base}
    _, _, lines = judged(stability.CHECK, reencoded=base, shifted=base, **runs)
    for name, on in (("method", "method"), ("random", "random dropping")):
        shares = [len({*sinks[i]} & {*map(int, kept[name][i])}) / 10 for i in range(N)]
        assert lines[f"high-norm tokens (sinks) among the kept {on}"].value == pytest.approx(100 * sum(shares) / N)
    every = 100 * sum(map(len, sinks)) / N / TOKENS
    assert lines["high-norm tokens (sinks) among the kept all tokens"].value == pytest.approx(every)
    only = replace(base, answers={key: replace(one, sinks=tuple(range(6))) for key, one in base.answers.items()})
    runs = {"method": ran(GOOD, kept=[[*range(10)]] * N), "unreduced": only}
    state, says, _ = judged(stability.CHECK, reencoded=runs["method"], shifted=runs["method"], **runs)
    assert state == "finding" and says.startswith("60 % of what it keeps are sinks, tokens of high norm (30 % of all")


def test_the_effective_rank_is_paired_with_random_droppings() -> None:
    rng = np.random.default_rng(5)
    ours, theirs = rng.uniform(1, 10, (2, N))
    runs = {"method": ran(GOOD, kept=CHOSEN, rank=[*ours]), "random": ran(GOOD, kept=DRAWN, rank=[*theirs])}
    _, _, lines = judged(stability.CHECK, reencoded=runs["method"], shifted=runs["method"], **runs)
    assert lines["effective rank of what is kept method"].value == pytest.approx(ours.mean())
    found, wanted = lines["effective rank of what is kept, minus random dropping's"], ours - theirs
    half = float(scipy.stats.sem(wanted) * scipy.stats.t.ppf(0.975, N - 1))
    assert (found.value, found.high) == pytest.approx((wanted.mean(), wanted.mean() + half))


def test_hallucination_stands_at_each_budget() -> None:
    def chair(share: float, mean: float) -> Any:
        more = {"figures": {"CHAIR_s": 100 - mean, "recall": 50.0}, "documents": 7}
        one = task("coco_cap_chair", mean) | more
        return spending(share, tasks=[one])

    answered = ran(GOOD, parts=["ocr"] * N)
    half, tenth, whole = (replace(answered, result=chair(*one)) for one in ((0.5, 70), (0.1, 60), (1.0, 80)))
    method = replace(half, budgets=[half, tenth])
    _, _, lines = judged(abilities.CHECK, method=method, unreduced=whole)
    for share, wanted in ((100, 80), (50, 70), (10, 60)):
        at = f"at {share}.0 % of the visual tokens coco_cap_chair"
        assert lines[f"captions that invent nothing {at}"].value == wanted
        assert lines[f"CHAIR_s {at}"].value == 100 - wanted and lines[f"recall {at}"].n == 7
    (curve,) = abilities.CHECK.measure({"method": method, "unreduced": whole}).curves
    assert [(x, y) for x, y, *_ in curve.points] == [(100, 80), (50, 70), (10, 60)]


def test_a_benchmark_of_hallucination_asks_for_that_whatever_its_parts() -> None:
    assert abilities_of("hallusion_bench_image", ["VD", "chart"]) == ["hallucination", "OCR"]
    assert abilities_of("coco_cap_chair", []) == ["hallucination"] and abilities_of("mme", ["count"]) == ["counting"]
