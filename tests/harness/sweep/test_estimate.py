"""What a cell should take, from past runs of its model."""

from pathlib import Path
from typing import Any

import pytest
from cells import cell
from written import task

from winnow.harness.common import files
from winnow.harness.cost import llm_viewer, physical
from winnow.harness.plan.build import build_method
from winnow.harness.plan.nominal import nominal
from winnow.harness.sweep.estimate import estimate, look_back


def past(folder: Path, profile: str, tflops: float) -> None:
    """A finished run that took 2 s for each of its 10 documents."""
    result: dict[str, Any] = {
        "id": "old", "context": "c", "settings": "others", "status": "complete", "finished": "2026-01-01",
        "model": "pico", "reducer": "none", "label": "none", "knobs": {}, "asked": "", "ratio": None, "budget": None,
        "documents": 10, "failed": 0, "shares": None, "limit": None, "tasks": [task("pico_video")],
        "cost": {"profile": profile, "tflops": tflops, "flops_share": 1.0, "kv_bytes": 1.0},
    }  # fmt: skip
    files.write_json(folder / "old" / "result.json", result)
    files.write_json(folder / "old" / "env.json", {"answering": {"documents": 10, "seconds": 20.0}})


@pytest.mark.parametrize("attn", ["eager", "sdpa"])
def test_rate_and_plan_count_flops_alike(attn: str, tmp_path: Path) -> None:
    wanted = cell("reducer=none", "tasks=pico_video", f"model.attn={attn}")
    prompt, built = nominal(wanted.seen), build_method(wanted)
    tokens = [prompt.visual + prompt.text] * prompt.shape.layers
    flops = physical.prefill_flops(prompt.shape, tokens, attn)
    past(tmp_path, physical.NAME, flops / 1e12)
    seconds, documents, source = estimate(wanted, "mine", built, look_back(tmp_path))
    assert (seconds, documents) == (pytest.approx(20), 10) and source.startswith("runs of the same model")
    papers = llm_viewer.prefill_flops(prompt.shape, tokens)
    assert papers != pytest.approx(flops, rel=0.001)
    past(tmp_path, llm_viewer.NAME, papers / 1e12)  # version 0.1 counted so: no rate, rather than a wrong one
    assert estimate(wanted, "mine", built, look_back(tmp_path))[2].startswith("planned FLOPs at an assumed")
