"""Several batch sizes are several measurements, and one table of throughput."""

from typing import Any

from winnow.harness.bench.batches import by_batch, throughput


def test_each_batch_size_is_measured_by_itself() -> None:
    words = ["reducer=fastv,vas", "batch_size=1,4", "ratio=0.5"]
    assert by_batch(words) == [["reducer=fastv,vas", "ratio=0.5", f"batch_size={size}"] for size in (1, 4)]
    assert by_batch(words[:1]) == [words[:1]] and by_batch(["batch_size=2"]) == [["batch_size=2"]]


def made(batch: int, *seconds: float) -> dict[str, Any]:
    rounds = [{"ttft": one, "tpot": 0.5} for one in seconds]
    settings = {"batch": batch, "settings": {"new_tokens": 3}}
    return {"identity": settings, "methods": {"none": {"rounds": rounds}, "fastv": {"rounds": rounds[:1]}}}


def test_throughput_is_prompts_over_the_median_time_with_decoding() -> None:
    rows = throughput([made(1, 1.0, 3.0, 9.0), made(8, 1.0, 1.0, 1.0)])
    assert rows == [
        {"method": "none", "batch 1": f"{1 / 4:.2f}", "batch 8": f"{8 / 2:.2f}"},
        {"method": "fastv", "batch 1": f"{1 / 2:.2f}", "batch 8": f"{8 / 2:.2f}"},
    ]
