"""Check and time the reduction at the papers' full shapes on a GPU, with random weights.

    python scripts/gpu_check.py [--models llava_ov,qwen2_vl,llava15] [--scale full] [--device cuda] [--dtype bfloat16]

Needs torch and transformers alone. Per model: invariants 1 to 3 of the design (keeping everything changes no bit, the
mask-out oracle agrees through decoding, cache = trace = plan) with sdpa and, where it is installed, flash attention;
then the LLM's prefill at the tokens of the papers (32 frames: 6272 + 1 and 16 x 256; one picture: 576), the median of
several runs by CUDA events, the tower left out. In half precision the oracle cannot agree to the last bit: its distance
is held against that of the unreduced model to the same oracle.
Ends with 1 if a check fails.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor
from transformers.utils import is_flash_attn_2_available

sys.path.insert(0, str(Path(__file__).parents[1]))

from winnow.models.check.oracle import oracle_logits
from winnow.models.engine import PromptTrace, attach, reuse_tower
from winnow.models.families import find_family
from winnow.models.families.arch import tiny
from winnow.models.families.base import Family
from winnow.models.families.support import impossible
from winnow.models.loading.random_weights import random_config, random_model
from winnow.models.loading.spec import ModelSpec
from winnow.models.transformers_api import attention_of, cache_of
from winnow.reducers.aim import AIM
from winnow.reducers.aim_prune import AIMPrune
from winnow.reducers.core.base import Reducer
from winnow.reducers.core.schedule import K, Rounds
from winnow.reducers.fastv import FastV
from winnow.reducers.none import NoReduction
from winnow.reducers.pdrop import PDrop
from winnow.reducers.vas import VAS
from winnow.reducers.vtw import VTW

FOLDER = Path(__file__).parents[1] / "configs" / "model"
STEPS, TEXT = 3, 40
WARM = 2
EARLY = Rounds(start=3, end=5, interval=1)


def methods(depth: int) -> dict[str, Reducer]:
    """The methods as their papers have them; VAS starts earlier on shallow models."""
    return {
        "none": NoReduction(),
        "fastv": FastV(ratio=0.5, schedule=K(2)),
        "vas": VAS() if depth > 12 else VAS(r=0.3, schedule=EARLY),
        "aim": AIM(ratio=0.25),
        "aim_prune": AIMPrune(),
        "vtw": VTW(schedule=K(15, of=32)),
        "pdrop": PDrop(),
    }


@dataclass(frozen=True, eq=False)
class Subject:
    """A model with one prompt of the paper's size."""

    name: str
    family: Family
    model: Any
    inputs: dict[str, Tensor]

    def fit(self, reducer: Reducer) -> Reducer:
        """The method, with positions kept where others are undefined."""
        return (
            keeping(reducer) if impossible(self.family, reducer, len(self.family.parts(self.model).layers)) else reducer
        )


def keeping(reducer: Reducer) -> Reducer:
    """The method with survivors at their own positions, as the mask-out oracle has them."""
    made: Any = reducer
    return replace(made, positions="keep") if hasattr(reducer, "positions") else reducer


def subject(name: str, args: argparse.Namespace, frames: int | None = None) -> Subject:
    """Build a model and its prompt, of as many frames as its paper has unless told otherwise."""
    node = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
    family, arch = find_family(node["family"]), node["arch"]
    spec = ModelSpec(node["family"], "", "random", args.scale, dtype=args.dtype, device=args.device, arch=arch)
    config = random_config(family, spec)
    model = random_model(config, spec, args.device)
    sharpen(model, family)
    vision = (tiny(arch, family.tiny_image) if args.scale == "tiny" else arch)["vision"]
    shown = frames or (4 if args.scale == "tiny" else node["frames"])
    made = prompt(family.name, config, vision, shown, getattr(torch, args.dtype))
    return Subject(name, family, model, {key: value.to(args.device) for key, value in made.items()})


def sharpen(model: Any, family: Family) -> None:
    """Make queries, keys and values of random weights as large as trained ones, so that a wrong mask shows."""
    for layer in family.parts(model).layers:
        attention: Any = layer.self_attn
        for linear in (attention.q_proj, attention.k_proj, attention.v_proj, attention.o_proj):
            linear.weight.data.mul_(2.5 / (0.02 * linear.in_features**0.5))


def prompt(family: str, config: Any, vision: dict[str, Any], frames: int, dtype: torch.dtype) -> dict[str, Tensor]:
    """One prompt without a processor: text, placeholders and noise for pixels."""
    side = vision["image"] // vision["patch"]
    torch.manual_seed(1)
    if family == "llava":
        visual, pixels = (
            [config.image_token_id] * side**2,
            {"pixel_values": torch.randn(1, 3, vision["image"], vision["image"])},
        )
    elif family == "llava_onevision":
        visual = [config.video_token_id] * (frames * ((side + 1) // 2) ** 2 + 1)
        pixels = {"pixel_values_videos": torch.randn(1, frames, 3, vision["image"], vision["image"])}
    else:
        side = side // 2 * 2
        steps, width = frames // 2, 3 * 2 * vision["patch"] ** 2
        tokens = [config.video_token_id] * (steps * (side // 2) ** 2)
        visual = [config.vision_start_token_id, *tokens, config.vision_end_token_id]
        pixels = {"pixel_values_videos": torch.randn(steps * side * side, width)}
    text = torch.randint(8, 200, (2 * TEXT,)).tolist()
    ids = torch.tensor([[*text[:TEXT], *visual, *text[TEXT:]]])
    made = {"input_ids": ids, "attention_mask": torch.ones_like(ids)} | {k: v.to(dtype) for k, v in pixels.items()}
    if family == "qwen2_vl":
        made["video_grid_thw"] = torch.tensor([[frames // 2, side, side]])
        made["mm_token_type_ids"] = 2 * (ids == config.video_token_id).long()
    return made


def generate(subject: Subject, reducer: Reducer) -> tuple[Tensor, PromptTrace, Any]:
    """Logits ``(STEPS, vocabulary)`` of a greedy answer, its trace and generate's output."""
    options = {"do_sample": False, "max_new_tokens": STEPS, "min_new_tokens": STEPS, "pad_token_id": 0}
    with attach(subject.model, reducer, keys=["prompt"]) as trace:
        out = subject.model.generate(**subject.inputs, **options, output_logits=True, return_dict_in_generate=True)
    return torch.cat(out.logits).float(), trace.prompts[0], out


def oracle(subject: Subject, out: Any, trace: PromptTrace) -> Tensor:
    """What the plain model says of the same answer with the dropped tokens masked, by sdpa."""
    used = attention_of(subject.model.config)
    subject.model.set_attn_implementation("sdpa")
    parts = subject.family.parts(subject.model)
    found = oracle_logits(subject.model, parts, subject.inputs, out.sequences[0, -STEPS:], trace)
    subject.model.set_attn_implementation(used)
    return found.float()


def checks(subject: Subject) -> Iterator[tuple[str, bool, str]]:
    """The outcome of each check: its name, whether it holds, and the figures."""
    depth = len(subject.family.parts(subject.model).layers)
    plain, path, out = generate(subject, NoReduction())
    again, _, _ = generate(subject, NoReduction())
    repeats = gap(plain, again)  # bits may depend on the run, where a library chooses its products anew
    steps = 16 if subject.model.dtype == torch.float32 else 2  # roundings that add up where one alone is small
    rounding = steps * torch.finfo(subject.model.dtype).eps * float(plain.abs().max())
    floor = max(gap(plain, oracle(subject, out, path)), rounding)
    yield "none oracle", bool(plain.isfinite().all()), f"unreduced to its own oracle {floor:.1e}, again {repeats:.1e}"
    for name, method in methods(depth).items():
        reducer = keeping(method)
        everything = reducer.keep_all()
        if everything is not None:
            kept, _, _ = generate(subject, everything)
            yield f"{name} keeps all", torch.equal(kept, plain), f"differs by {gap(kept, plain):.1e}"
        logits, path, out = generate(subject, reducer)
        held = [layer.keys.shape[2] - (STEPS - 1) for layer in cache_of(out).layers]
        planned = (
            path.visual_per_layer
            if reducer.adaptive
            else reducer.plan([s.grid for s in path.layout.spans], depth, None)
        )
        same = held == path.tokens_per_layer and planned == path.visual_per_layer
        yield (
            f"{name} cache",
            same,
            f"{path.visual} visual tokens, {path.shares[1]:.3f} of them in the mean over layers",
        )
        if name in ("none", "aim"):  # merges have their oracle in the tests, at small scale
            continue
        apart, moved = gap(logits, oracle(subject, out, path)), gap(logits[0], plain[0])
        weak = ", too little to tell" if moved < 8 * floor else ""
        yield f"{name} oracle", apart < 4 * floor, f"{apart:.1e} apart; the reduction changes {moved:.1e}{weak}"


def waits(subject: Subject, reducer: Reducer) -> Counter[str]:
    """Lines at which a prefill made the host wait for all that CUDA had been given; statistics' own events do not."""
    with reuse_tower(subject.model), attach(subject.model, reducer, keys=["prompt"]):
        subject.model(**subject.inputs, use_cache=True, logits_to_keep=1)
        torch.cuda.synchronize()
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            subject.model(**subject.inputs, use_cache=True, logits_to_keep=1)
            torch.cuda.set_sync_debug_mode("default")
    return Counter(f"{Path(line.filename).name}:{line.lineno}" for line in told)


def gap(a: Tensor, b: Tensor) -> float:
    """Largest difference."""
    return float((a - b).abs().max())


def prefill(subject: Subject, reducer: Reducer, runs: int) -> tuple[float, float]:
    """Median and spread of the milliseconds of a prefill without the tower."""
    seconds = []
    with reuse_tower(subject.model), attach(subject.model, reducer, keys=["prompt"]):
        for run in range(WARM + runs):
            took = timed(lambda: subject.model(**subject.inputs, use_cache=True, logits_to_keep=1))
            seconds += [took] if run >= WARM else []
    return statistics.median(seconds), max(seconds) - min(seconds)


def timed(run: Any) -> float:
    """Milliseconds of one call: CUDA events, or the clock where there is no GPU."""
    if not torch.cuda.is_available():
        start = time.perf_counter()
        run()
        return 1e3 * (time.perf_counter() - start)
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    begin.record()
    run()
    end.record()
    torch.cuda.synchronize()
    return float(begin.elapsed_time(end))


def report(subject: Subject, attn: str, runs: int) -> bool:
    """Print checks and times of one model under one attention; tell whether all holds."""
    subject.model.set_attn_implementation(attn)
    good = True
    for name, holds, figures in checks(subject):
        good &= holds
        print(f"  {'ok    ' if holds else 'FAILED'} {name:<18} {figures}", flush=True)
    depth, base = len(subject.family.parts(subject.model).layers), 0.0
    for name, method in methods(depth).items() if runs else ():
        median, spread = prefill(subject, subject.fit(method), runs)
        base = base or median
        print(f"  prefill {name:<10} {median:9.2f} ms (spread {spread:.2f}), {median / base:.3f} of none", flush=True)
        if torch.cuda.is_available():
            print(f"    waits at {dict(waits(subject, subject.fit(method)).most_common(5))}", flush=True)
    return good


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--models", default="llava_ov,qwen2_vl,llava15")
    parser.add_argument("--scale", choices=["full", "tiny"], default="full")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--dtype", choices=["bfloat16", "float16", "float32"], default="bfloat16")
    parser.add_argument(
        "--runs", type=int, default=5, help="timed prefills of each method, after 2 to warm up; 0: none"
    )
    args = parser.parse_args(words)
    machine = torch.cuda.get_device_name() if args.device.startswith("cuda") else "CPU"
    print(f"torch {torch.__version__}, {machine}, {args.dtype}, scale {args.scale}")
    good = True
    flash = args.dtype != "float32" and is_flash_attn_2_available()
    with torch.inference_mode():
        for name in args.models.split(","):
            start = time.perf_counter()
            made = subject(name, args)
            for attn in ["sdpa", *(["flash_attention_2"] if flash else [])]:
                print(f"{name}, {attn}")
                good &= report(made, attn, args.runs)
            print(f"  {time.perf_counter() - start:.0f} s in all")
            del made
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
