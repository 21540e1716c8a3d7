"""The maintenance programs run to their end, at a small shape."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.full
ROOT = Path(__file__).resolve().parent.parent
SMALL = "--device cpu --dtype float32 --tokens 324 --layers 28 --repeats 1 --hidden 32 --heads 4 --kv-heads 2 --mlp 32"


def test_gpu_check_holds_and_times_every_method_without_a_gpu() -> None:
    command = ["scripts/gpu_check.py", "--scale", "tiny", "--device", "cpu", "--dtype", "float32", "--runs", "1"]
    done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "FAILED" not in done.stdout
    for method in ("fastv", "vas", "vtw", "pdrop", "aim_prune"):
        for kind in ("keeps all", "cache", "oracle"):
            assert done.stdout.count(f"ok     {method} {kind}") == 3
    for method in ("none", "fastv", "vas", "aim", "vtw", "pdrop"):
        assert done.stdout.count(f"prefill {method:<10} ") == 3


def test_gpu_probes_runs_without_a_gpu() -> None:
    command = [sys.executable, "scripts/gpu_probes.py", *SMALL.split()]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    lines = done.stdout.splitlines()
    assert "probes by torch" in lines[0]
    assert float(lines[1].partition(": ")[2]) < 1e-5
    for method, layers in (("FastV", 1), ("VAS", 21), ("AIM: PageRank behind merging", 8)):
        (line,) = (line for line in lines if line.startswith(method))
        assert f"{layers:>7}" in line[40:48] and line.rstrip().endswith(("met", "missed")), line


def test_bench_sweep_shows_what_two_cells_share() -> None:
    words = ["--methods", "random,fastv", "--ratios", "0.5", "model=pico", "schedule=pico", "limit=2", "batch_size=1"]
    done = subprocess.run(
        [sys.executable, "scripts/bench.py", "sweep", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "videos decoded: 1, found decoded on the disk: 0; passes of the vision tower: 1, spared: 3" in done.stdout
    assert "single" in done.stdout


def test_gpu_share_compares_both_rows_without_a_gpu() -> None:
    command = "scripts/gpu_share.py --scale tiny --device cpu --dtype float32 --frames 1 --repeats 1"
    done = subprocess.run([sys.executable, *command.split()], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    _, _, first, second = done.stdout.splitlines()
    assert first.startswith("none, fastv, vas, pdrop: 13 cells") and second.startswith("aim_poster_pruning: 10 cells")
    for line in (first, second):
        ran, _, alone = line.partition(" layers run")[0].split("; ")[-1].split()[-3:]
        assert int(ran) < 0.75 * int(alone), line
