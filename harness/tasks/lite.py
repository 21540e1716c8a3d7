"""The 500 questions of LMMs-Eval-Lite (arXiv:2407.12772, section 4) of some benchmarks: cheap checks on real data."""

from __future__ import annotations

from dataclasses import replace

from winnow.harness.tasks.benchmark import Benchmark
from winnow.harness.tasks.images import IMAGES
from winnow.harness.tasks.reading import READING
from winnow.harness.tasks.reasoning import REASONING

REPO = "lmms-lab-encoder/LMMs-Eval-Lite"
NAMES = (
    "docvqa_val", "infovqa_val", "chartqa", "vizwiz_vqa_val", "mmbench_cn_dev", "seedbench", "ai2d", "vqav2_val",
    "textvqa_val",
)  # fmt: skip
"""Of the benchmarks, and of the configurations that hold their parts."""


def _lite(whole: Benchmark) -> Benchmark:
    return replace(whole, task=f"{whole.task}_lite", repo=REPO, config=whole.task, split="lite", beside=(), adapt=None)


LITE = tuple(_lite(one) for one in (*IMAGES, *READING, *REASONING) if one.task in NAMES)
