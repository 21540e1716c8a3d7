"""The Triton kernels: exact in the interpreter against float64, compiled for GPUs that are not here, chosen on CUDA."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from winnow.models.engine import kernels
from winnow.models.engine.signals import Signals
from winnow.reducers.core.layout import Layout, Span
from winnow.reducers.core.probes import PageRank, Probe, Rows, page_rank, received_attention

ROOT = Path(__file__).parents[2]
COMPILE = """
import sums
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

constants = {"GROUPS": 7, "DIM": 128, "WIDTH": 128, "WIDE": False}
wide, narrow = ({"ROWS": rows, "COLS": cols} for rows, cols in (sums.TILE, sums.NARROW))
steps = {"STEPS": 5, "SLOTS": 8}
for kernel, more in ((sums._log_sums, narrow), (sums._log_sums, wide), (sums._column_sums, wide | steps)):
    known = {"query": "*bf16", "key": "*bf16", "factor": "fp32"} | dict.fromkeys(("log_sums", "votes", "out"), "*fp32")
    fixed = constants | more
    signature = {name: "constexpr" if name in fixed else known.get(name, "i32") for name in kernel.arg_names}
    source = ASTSource(kernel, signature, {(kernel.arg_names.index(k),): v for k, v in fixed.items()})
    made = triton.compile(source, target=GPUTarget("cuda", CAPABILITY, 32))
    print(len(made.asm["cubin"]), made.metadata.shared)
"""


def python(*arguments: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=os.environ
        | {"PYTHONPATH": str(ROOT / "models" / "engine" / "kernels"), "OMP_NUM_THREADS": "1"}
        | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_the_kernels_are_exact_in_the_interpreter() -> None:
    pytest.importorskip("triton", reason="Triton is not installed here: it comes with torch's builds for CUDA")
    cases = json.loads(python("tests/models/interpreted.py"))
    assert len(cases) == 9
    wrong = [case for case in cases if not max(case["received"], case["rank"]) < 3e-5]
    assert wrong == []


@pytest.mark.full
@pytest.mark.parametrize("capability", [80, 90])
def test_the_kernels_compile_and_fit_into_shared_memory(capability: int, tmp_path: Path) -> None:
    pytest.importorskip("triton", reason="Triton is not installed here: it comes with torch's builds for CUDA")
    out = python("-c", COMPILE.replace("CAPABILITY", str(capability)), TRITON_CACHE_DIR=str(tmp_path))
    sizes = [tuple(map(int, line.split())) for line in out.splitlines()]
    assert len(sizes) == 3
    assert all(cubin > 0 and shared <= 99 * 1024 for cubin, shared in sizes)


CUDA = torch.device("cuda", 0)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    kernels._module.cache_clear()
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    monkeypatch.setattr(importlib, "import_module", lambda name: SimpleNamespace(name=name))
    yield monkeypatch
    kernels._module.cache_clear()


def test_the_choice_is_triton_on_cuda_for_half_precision(gpu: pytest.MonkeyPatch) -> None:
    assert kernels.chosen(CUDA, torch.bfloat16) == "triton"
    assert kernels.chosen(CUDA, torch.float32) == "torch"
    assert kernels.chosen(torch.device("cpu"), torch.bfloat16) == "torch"


def test_without_triton_or_tensor_cores_the_portable_form_is_chosen(gpu: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}")

    gpu.setattr(importlib, "import_module", missing)
    assert kernels.chosen(CUDA, torch.bfloat16) == "torch"
    kernels._module.cache_clear()
    gpu.undo()
    gpu.setattr(torch.cuda, "get_device_capability", lambda device: (7, 0))
    assert kernels.chosen(CUDA, torch.bfloat16) == "torch"


@pytest.mark.parametrize(("probe", "calls"), [(PageRank(), 1), (Rows("all"), 1), (Rows("text"), 1), (Rows("last"), 0)])
def test_both_ways_give_the_same_signal(probe: Probe, calls: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that is the portable form in disguise changes nothing, and a single row never reaches it."""
    torch.manual_seed(0)
    layout = Layout(12, (Span(torch.arange(2, 10), 1, 2, 4),))
    query, key = torch.randn(1, 4, 15, 8), torch.randn(1, 2, 15, 8)
    asked: list[str] = []

    def received(query: torch.Tensor, key: torch.Tensor, scaling: float, rows: tuple[int, int]) -> torch.Tensor:
        asked.append("received")
        return received_attention(query, key, torch.arange(*rows), scaling)

    def rank(*arguments: object) -> torch.Tensor:
        asked.append("rank")
        return page_rank(*arguments)  # type: ignore[arg-type]

    def signal() -> torch.Tensor:
        signals = Signals([(probe, 3)], [layout])
        signals.observe(3, [torch.arange(12)], query, key, 0.4)
        return signals.values[0][probe, 3]

    portable = signal()
    fast = SimpleNamespace(received_attention=received, page_rank=rank)
    monkeypatch.setattr("winnow.models.engine.signals.kernels", lambda device, dtype: fast)
    assert torch.equal(signal(), portable)
    assert len(asked) == calls
