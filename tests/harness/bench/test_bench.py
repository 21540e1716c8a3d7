"""`winnow bench`: what it charges to whom, in which order it measures, how it names what it found."""

import json
import random
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch

from winnow.harness.bench import estimate, runner
from winnow.harness.bench.cells import BASELINE, COMMON, Variant, variants
from winnow.harness.bench.clock import FIRST, PHASES, PREFILL, PROJECTOR, REDUCER, REST, TOWER, Clock
from winnow.harness.bench.measure import Measurement, measure
from winnow.harness.bench.memory import peak_memory
from winnow.harness.bench.modelled import layer_rate
from winnow.harness.bench.prompts import Prompts, frame_side
from winnow.harness.bench.record import identity
from winnow.harness.bench.report import _own, _rate, ratios, times
from winnow.harness.bench.runner import Settings
from winnow.harness.cost.hardware import Hardware, Peak
from winnow.harness.plan.nominal import llm_shape
from winnow.harness.run.loaded import load_model
from winnow.harness.score.stats import median_interval
from winnow.models.check import tiny_model
from winnow.models.check.cases import video_prompt
from winnow.models.families import find_family
from winnow.models.loading.load import Loaded
from winnow.reducers.core.errors import WinnowError

CPU = torch.device("cpu")
PICO = ("model=pico", "model.device=cpu", "schedule=pico")


@pytest.fixture(scope="module")
def found() -> list[Variant]:
    return variants([*PICO, "reducer=fastv,aim,tome_tower", "batch_size=2", "model.nominal.text=37"])


@pytest.fixture(scope="module")
def loaded(found: list[Variant]) -> Loaded:
    return load_model(found[0].cell.seen)


@pytest.fixture(scope="module")
def prompts(found: list[Variant], loaded: Loaded, tmp_path_factory: pytest.TempPathFactory) -> Prompts:
    return Prompts(found[0].cell.seen, loaded, 2, tmp_path_factory.mktemp("videos"))


@pytest.fixture(scope="module")
def measured(found: list[Variant], loaded: Loaded, prompts: Prompts) -> dict[str, Measurement]:
    inputs = prompts.encode(prompts.decode())
    timed = {}
    for variant in found:
        reducer = variant.built.reducer if variant.built else None
        timed[variant.name] = measure(loaded, inputs, reducer, 4, Clock(CPU))
    return timed


@pytest.mark.parametrize("seed", range(5))
def test_every_instant_is_charged_once(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However phases are nested, they add up to the time between start and stop."""
    draw, clock, now = random.Random(seed), Clock(CPU), [0.0]

    def tick() -> float:
        now[0] += draw.random()
        return now[0]

    monkeypatch.setattr(clock, "now", tick)
    clock.enter("before the start")
    clock.start()
    begun, depth = now[0], 0
    for _ in range(40):
        if depth and draw.random() < 0.5:
            clock.leave()
            depth -= 1
        else:
            clock.enter(draw.choice(PHASES))
            depth += 1
    for _ in range(depth):
        clock.leave()
    clock.stop()
    assert sum(clock.phases().values()) == pytest.approx(now[0] - begun)
    assert "before the start" not in clock.phases()


def test_the_process_clock_does_not_count_waiting() -> None:
    clock = Clock(CPU, "cpu")
    start = clock.now()
    time.sleep(0.2)
    assert clock.seconds(start, clock.now()) < 0.1


def test_an_inner_phase_is_not_charged_to_the_outer_one(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, ticks = Clock(CPU), iter(range(100))
    monkeypatch.setattr(clock, "now", lambda: next(ticks))
    clock.start()
    clock.enter(PREFILL)
    clock.charge(REDUCER, lambda: next(ticks))()
    clock.leave()
    clock.base(FIRST)
    clock.stop()
    assert clock.phases() == {REST: 2, PREFILL: 2, REDUCER: 2, FIRST: 1}


def test_phases_add_up_to_the_first_token(measured: dict[str, Measurement]) -> None:
    for one in measured.values():
        assert sum(one.phases.values()) == pytest.approx(one.first, rel=0.05, abs=5e-3)
        assert {TOWER, PROJECTOR, PREFILL, FIRST, REST} <= set(one.phases)


@pytest.mark.parametrize("family", ["video_llava", "qwen2_vl"])
def test_the_tower_of_videos_is_charged(family: str) -> None:
    """Also where images have another one, and where it holds the projector."""
    tiny = tiny_model(family, "sdpa")
    inputs = tiny.family.encode(tiny.processor, [video_prompt()])
    phases = measure(tiny, inputs, None, 1, Clock(CPU)).phases
    assert phases[TOWER] > 0 and phases[PROJECTOR] > 0


def test_only_methods_are_charged_for_reducing(measured: dict[str, Measurement]) -> None:
    assert REDUCER not in measured[BASELINE].phases
    assert all(one.phases[REDUCER] > 0 for name, one in measured.items() if name != BASELINE)


def test_kv_bytes_are_what_the_trace_says(found: list[Variant], measured: dict[str, Measurement]) -> None:
    """Keys and values in float32 of the widest prompt of the batch in each layer; later tokens are not counted."""
    shape = llm_shape(found[0].cell.seen)
    size = 2 * 4 * shape.kv_heads * shape.head_dim
    for one in measured.values():
        widest = [max(layer) for layer in zip(*one.tokens, strict=True)]
        assert one.kv == 2 * size * sum(widest)


def test_prompts_are_as_long_as_asked(measured: dict[str, Measurement]) -> None:
    assert measured[BASELINE].tokens == [[8 * 25 + 37] * 8] * 2


def test_prompts_differ_within_a_batch(prompts: Prompts) -> None:
    first, second = prompts.decode()
    assert first.shape == second.shape
    assert not np.array_equal(first, second)


@pytest.mark.parametrize(
    ("model", "side"), [("llava15", 336), ("llava_next", 672), ("llava_ov", 384), ("qwen2_vl", 448)]
)
def test_frames_have_the_size_that_gives_the_nominal_tokens(model: str, side: int) -> None:
    """A picture of 672 pixels is what LLaVA-NeXT cuts into four tiles."""
    config = variants([f"model={model}", "model.weights=random"])[0].cell.seen
    assert frame_side(config, cast(Loaded, SimpleNamespace(family=find_family(config.family)))) == side


def test_methods_take_turns(
    found: list[Variant], loaded: Loaded, prompts: Prompts, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []

    def note(
        loaded: Loaded, inputs: object, reducer: object, new_tokens: int, clock: Clock, common: bool
    ) -> Measurement:
        order.append("none" if reducer is None else reducer.name)  # type: ignore[attr-defined]
        return Measurement({}, 0.0, None, None, 0, [[1]])

    monkeypatch.setattr(runner, "measure", note)
    rounds = list(runner._rounds(found, loaded, prompts, Settings(rounds=2, warmup=1), lambda count: None))
    assert order == ["none", "fastv", "aim", "tome_tower"] * 3
    assert [list(one) for one in rounds] == [[variant.name for variant in found]] * 3


def test_what_can_change_a_time_changes_the_name(found: list[Variant]) -> None:
    def name(settings: Settings = Settings(), **changed: object) -> str:  # noqa: B008
        variants = [replace(variant, cell=replace(variant.cell, **changed)) for variant in found]
        return repr(identity(variants, vars(settings), CPU))

    model, method = found[0].cell.model, found[1].cell.method
    same = name()
    assert same == name(Settings(minutes=5), results=Path("elsewhere"), model=replace(model, device="auto"))
    changed = [
        name(batch_size=3),
        name(model=replace(model, attn="eager")),
        name(model=replace(model, frames=4)),
        name(method=replace(method, ratio=0.1)),
        name(Settings(rounds=9)),
        name(Settings(clock="cpu")),
    ]
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    changed.append(name())
    torch.set_num_threads(threads)
    assert len({same, *changed}) == 8


def test_the_unreduced_model_stands_first_and_once() -> None:
    names = [variant.name for variant in variants([*PICO, "reducer=none,fastv,none", "ratio=0.5,0.25"])]
    assert names == ["none", "fastv 0.5", "fastv 0.25"]


def test_the_common_way_returns_every_matrix_and_is_undone(
    found: list[Variant], loaded: Loaded, prompts: Prompts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row of eager attention runs eagerly, asks for the matrices, and leaves the model as it was."""
    model: Any = loaded.model
    inputs, generate, seen = prompts.encode(prompts.decode()), model.generate, dict[str, Any]()

    def spied(**options: Any) -> Any:
        seen["attn"] = model.config._attn_implementation
        seen["output"] = generate(**options)
        return seen["output"]

    monkeypatch.setattr(model, "generate", spied)
    common = variants(list(PICO), common=True)[-1]
    assert common.name == COMMON and common.built is None and common.cell.seen.attn == "eager"
    measure(loaded, inputs, None, 2, Clock(CPU), attentions=True)
    length = inputs["input_ids"].shape[1]
    assert seen["attn"] == "eager" and seen["output"].attentions[0][0].shape[-2:] == (length, length)
    assert model.config._attn_implementation == found[0].cell.seen.attn == "sdpa"


def test_methods_that_differ_in_their_schedule_have_names_of_their_own() -> None:
    names = [variant.name for variant in variants(["model=pico", "reducer=fastv", "schedule=k", "schedule.k=2,3"])]
    assert len(set(names)) == len(names) == 3


@pytest.fixture
def winnow(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    from winnow.harness.cli import main as cli

    def go(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["winnow", "bench", *words])
        with pytest.raises(SystemExit) as end:
            cli.main()
        captured = capsys.readouterr()
        return int(end.value.code or 0), captured.out, captured.err

    return go


def test_a_measurement_from_end_to_end(winnow: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    words = ("--rounds", "2", "--warmup", "0", "--new-tokens", "2", "--results", str(tmp_path), "--format", "md")
    code, out, _ = winnow(*PICO, "reducer=fastv", "model.frames=2", *words)
    assert code == 0
    (path,) = tmp_path.glob("*.json")
    made = json.loads(path.read_text())
    assert path.stem == made["id"]
    assert {"before", "after", "versions", "probes", "kernels", "set_aside"} <= set(made["env"])
    assert path.name in out
    for one in (one for method in made["methods"].values() for one in method["rounds"]):
        assert sum(one["phases"].values()) == pytest.approx(one["ttft"], rel=0.05, abs=5e-3)
    (row,) = ratios(made)
    assert {name.partition(":")[0] for name in row} == {"method", "tokens", "measured", "modelled"}
    assert float(row["measured: KV cache"]) == pytest.approx(float(row["tokens"]), abs=2e-3)
    assert len(times(made)) == 2


def test_with_one_encoding_there_is_no_ttft(winnow: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    words = ("--rounds", "1", "--new-tokens", "1", "--results", str(tmp_path), "--tower", "once", "--format", "md")
    code, out, _ = winnow(*PICO, "reducer=fastv", "model.frames=2", *words)
    assert code == 0
    assert "measured LLM prefill" in out
    assert "TTFT ms" not in out and "measured TTFT" not in out and "TPOT" not in out.replace("ratios", "")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("model=pico", "reducer=nope"), "unknown reducer 'nope'"),
        (("model=pico,llava_ov", "reducer=fastv"), "run it once for each"),
        (("model=pico", "model.device=meta"), "computes nothing that could be timed"),
        (("model=pico", "model.nominal.text=1"), "the template alone has 3 tokens"),
        (("model=pico", "--rounds", "0"), "--rounds 0 is not allowed"),
        (("model=pico", "--tower", "twice"), "--tower twice is not known: choose each | once"),
        (("model=pico", "--clock", "sun"), "--clock sun is not known: choose wall | cpu"),
        (("experiment=pico",), "'experiment=pico' is not allowed here"),
        (("model=llava_ov", "model.weights=random", "model.device=cpu", "--minutes", "0.1"), "would take about"),
    ],
)
def test_a_mistake_is_one_line(
    words: tuple[str, ...], message: str, winnow: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    code, out, err = winnow(*words, "--results", str(tmp_path))
    assert (code, out) == (2, "")
    assert message in err and err.startswith("error: ") and err.count("\n") == 1


def test_a_lack_of_memory_is_one_line(
    found: list[Variant], loaded: Loaded, prompts: Prompts, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(runner, "measure", full)
    with pytest.raises(
        WinnowError, match=r"reducer=none does not fit into the memory of cpu: choose fewer model.frames"
    ):
        list(runner._rounds(found, loaded, prompts, Settings(rounds=1), lambda count: None))


def test_what_does_not_fit_is_refused_with_the_estimate(found: list[Variant], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate, "free_bytes", lambda device: 10**6)
    with pytest.raises(
        WinnowError, match=r"2 x 237 tokens need about .* GB beside the weights, 0.0 GB are free on cpu"
    ):
        estimate.check(found, CPU, Hardware("", 1.0, peak=Peak(fp32=1.0)), 1, 1, 60)


def test_the_estimate_grows_with_the_work(found: list[Variant]) -> None:
    plain = estimate.flops(found[:1], 1, 0)
    assert estimate.flops(found[:1], 3, 0) == 3 * plain
    assert plain < estimate.flops(found[:2], 1, 0) < 2 * plain < 2 * estimate.flops(found[:1], 1, 1)
    wider = [replace(found[0], cell=replace(found[0].cell, batch_size=8))]
    assert estimate.flops(wider, 1, 0) == 4 * plain


def test_peak_memory_sees_what_was_freed() -> None:
    with peak_memory(CPU) as peak:
        block = torch.ones(30_000_000)
        del block
    assert peak.bytes is None or 100e6 < peak.bytes < 200e6


@pytest.mark.parametrize(("n", "level"), [(1, 0.0), (3, 0.75), (5, 0.9375), (6, 0.96875), (20, 0.95)])
def test_the_median_lies_in_its_interval(n: int, level: float) -> None:
    values = np.random.default_rng(n).normal(size=n)
    middle, low, high, held = median_interval(values)
    assert low <= middle <= high and middle == np.median(values)
    assert held == level if n < 6 else held >= level


def test_the_interval_covers_the_true_median() -> None:
    draws = np.random.default_rng(0).normal(size=(2000, 9))
    held = [low <= 0 <= high for _, low, high, _ in map(median_interval, draws)]
    assert np.mean(held) == pytest.approx(median_interval(draws[0])[3], abs=0.02)


def test_a_layers_rate_counts_its_seven_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """Query, output, twice keys and values, twice up and once down, each over all tokens of the batch."""
    shape, clock = llm_shape(variants(list(PICO))[0].cell.seen), Clock(CPU)
    monkeypatch.setattr("winnow.harness.bench.modelled._least", lambda clock, work: 0.5)
    inner, kv = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    weights = 2 * shape.hidden * (inner + kv) + 3 * shape.hidden * shape.mlp
    assert layer_rate(shape, 11, CPU, "float32", clock) == pytest.approx(2 * 11 * weights / (7 * 0.5))


def test_own_work_and_rate_are_those_of_the_rounds() -> None:
    base = {"rounds": [{"llm": 2.0, "phases": {}}, {"llm": 4.0, "phases": {}}], "modelled": {"flops": 6e12}}
    ours = {"rounds": [{"llm": 1.5, "phases": {REDUCER: 0.1}}, {"llm": 1.5, "phases": {REDUCER: 0.4}}]}
    assert _own(ours, base) == "7.50 %"
    assert _rate(base) == "2"


def test_what_is_not_installed_keeps_no_measurement(found: list[Variant]) -> None:
    """decord stood in the identity, and is not installed where PyAV reads: the run was lost at its very end."""
    named = identity(found, {}, CPU)["versions"]
    assert "decord" not in named and {"torch", "transformers", "av"} <= set(named)
