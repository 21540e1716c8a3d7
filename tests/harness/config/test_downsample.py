"""Downsampling gives fewer tokens by less input; identity, plan, cost and labels see it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cells import cell
from runs import FASTV, Run, result_of

from winnow.harness.config.downsample import check_downsample, downsample
from winnow.harness.config.schema import DownsampleConfig, ModelConfig, NominalConfig
from winnow.harness.plan.identity import identify
from winnow.harness.plan.nominal import nominal
from winnow.harness.results.tables import runs as tables
from winnow.harness.run.loaded import load_model
from winnow.harness.run.result import results_below
from winnow.models.families.prompt import Prompt
from winnow.reducers.core.errors import WinnowError

TINY = ("model=qwen2_vl", "model.weights=random", "model.scale=tiny", "model.dtype=float32", "model.device=cpu")


def test_plan_and_identity_see_it() -> None:
    whole, half = cell(), cell("downsample.frames=2")
    assert nominal(half.seen).visual == nominal(whole.seen).visual // 2 == 100
    seen = nominal(cell("model=qwen2_vl", "downsample.pixels=4").seen)
    assert seen.visual == 16 * 64 and {layer.tokens for layer in seen.projector} == {64}
    one, two = identify(whole), identify(half)
    assert one.run != two.run and one.context == two.context and one.settings != two.settings


def test_less_input_is_whole_frames_and_at_least_one_token() -> None:
    model = ModelConfig("m", frames=8, pixels=2, nominal=NominalConfig(8, 25, 20))
    less = downsample(model, DownsampleConfig(4, 3))
    assert (less.frames, less.pixels, less.nominal) == (2, 6, NominalConfig(2, 8, 20))
    assert downsample(model, DownsampleConfig(1, 100)).nominal == NominalConfig(8, 1, 20)
    assert downsample(model, DownsampleConfig()) == model
    odd = replace(model, frames=8, nominal=NominalConfig(12, 25, 20))
    assert check_downsample(DownsampleConfig(4, 1), odd) == DownsampleConfig(4, 1)
    with pytest.raises(WinnowError, match=r"frames=8 does not divide the 8 frames of model=m: choose 1 \| 2 \| 4$"):
        check_downsample(DownsampleConfig(8, 1), odd)


def test_run_has_half_the_tokens_and_is_no_baseline(run: Run, results: Path) -> None:
    ran = run("downsample.frames=2")
    assert ran.code == 0 and "none downsample.frames=2" in ran.out
    (half,) = (path.parent for path in results.glob("*/DONE"))
    assert run().code == 0 and run(*FASTV).code == 0
    found = {result["label"]: result for result in results_below(results)}
    assert found["none downsample.frames=2"]["id"] == half.name
    assert result_of(half)["cost"]["tflops"] < 0.6 * found["none"]["cost"]["tflops"]
    rows = {row["reducer"]: row["Δ pico_video"] for row in tables.rows([*found.values()], results)}
    assert rows["none"] == "" and "±" in rows["fastv"] and "±" in rows["none downsample.frames=2"]
    ran = run("reducer=random", f"reducer.like={half.name}")
    assert ran.code == 2 and "has downsample.frames=2, this run 1" in ran.err


@pytest.mark.parametrize(("by", "tokens"), [(1, 64), (4, 16), (16, 4)])
def test_pixels_divide_the_tokens_of_the_budget(by: int, tokens: int) -> None:
    made = cell(*TINY, f"downsample.pixels={by}").seen
    loaded = load_model(made)
    processor: Any = loaded.processor
    patch = 2 * processor.image_processor.patch_size
    for part in (processor.image_processor, processor.video_processor):
        part.size = {"shortest_edge": patch**2, "longest_edge": part.size["longest_edge"] // 4}
    video = np.zeros((2, 16 * patch, 16 * patch, 3), np.uint8)
    ids = loaded.family.encode(processor, [Prompt("what", [video])])["input_ids"]
    assert int((ids == processor.tokenizer.convert_tokens_to_ids("<video>")).sum()) == tokens


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["downsample.frames=3"],
            "downsample.frames=3 does not divide the 8 frames of model=pico: choose 1 | 2 | 4 | 8",
        ),
        (["downsample.frames=0"], "downsample.frames=0 does not divide"),
        (["downsample.frames=x"], "downsample.frames=x is not allowed: give a value of type integer"),
        (["downsample.pixels=0"], "downsample.pixels=0 is not allowed: choose 1 or more"),
        (
            ["downsample.pixels=2"],
            "downsample.pixels=2 cannot work on model=pico: its tower takes pictures of one size",
        ),
        (
            ["model=pllava", "downsample.frames=2"],
            "downsample.frames=2 cannot work on model=pllava: it repeats fewer frames until they are 16",
        ),
        (["downsample.size=2"], "unknown option 'size' of downsample: choose frames, pixels"),
        (["+downsample.size=2"], "unknown option 'size' of downsample: choose frames, pixels"),
        (["reducer=oracle", "downsample.frames=2"], "knows which tokens matter for the whole input only"),
    ],
)
def test_mistakes_are_one_line(words: list[str], message: str, run: Run) -> None:
    ran = run(*words)
    assert ran.code == 2 and message in ran.err and ran.err.count("\n") == 1
