"""`winnow cost`: plans, budgets and machines, without torch and at once."""

import csv
import io
import resource
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from winnow.harness.cli.commands.cost import plans, run, split
from winnow.harness.cli.main import app
from winnow.harness.config.choices import options
from winnow.harness.config.overrides import cell_from
from winnow.harness.cost.hardware import GROUP, hardware
from winnow.harness.plan.nominal import nominal
from winnow.reducers.core.errors import WinnowError

COMMAND = [sys.executable, "-m", "winnow.harness.cli.main", "cost", "model=llava_ov", "reducer=aim"]
Row = dict[str, str]


def tables(*words: str) -> list[list[Row]]:
    done = CliRunner().invoke(app, ["cost", *words, "--format", "csv"])
    if done.exception:
        raise done.exception
    return [list(csv.DictReader(io.StringIO(text))) for text in done.stdout.strip().split("\n\n")]


def total(rows: list[Row], plan: str) -> Row:
    return next(row for row in rows if row["plan"] == plan and row["part"] == "total")


def test_aim_is_printed_as_its_paper_counts_it_and_as_it_is_executed() -> None:
    parts, memory, layers = tables("model=llava_ov", "reducer=aim")
    scheduled = total(parts, "aim, as scheduled (apply=same)")
    executed = total(parts, "aim, as executed (apply=next)")
    assert (scheduled["llm-viewer-compat: TFLOP"], scheduled["llm-viewer-compat: ms"]) == ("14.76", "55.03")
    assert (executed["llm-viewer-compat: TFLOP"], executed["llm-viewer-compat: ms"]) == ("15.53", "57.68")
    assert total(parts, "unreduced")["llm-viewer-compat: ms"] == "439.6"
    assert [row["KV cache MB"] for row in memory] == ["365.4", "61.93", "65.14"]
    assert [row["physical: ms per output token"] for row in memory] == ["9.329", "9.133", "9.136"]
    spread = [row["layers"] for row in layers if row["plan"] == "aim, as executed (apply=next)"]
    assert spread == ["0-14", *map(str, range(15, 22)), "22-27"]


def test_parts_of_the_physical_profile_add_up() -> None:
    parts, _, layers = tables("model=llava_ov", "reducer=fastv")
    rows = [row for row in parts if row["plan"] == "fastv"]
    *single, whole = (float(row["physical: TFLOP"]) for row in rows)
    assert sum(single) == pytest.approx(whole, rel=1e-3)
    listed = {row["part"]: float(row["physical: TFLOP"]) for row in rows}
    assert listed["vision tower"] == 20.6 and listed["projector"] == 0.7919
    per_layer = 2 * float(layers[0]["physical: TFLOP"]) + 26 * float(layers[1]["physical: TFLOP"])
    assert per_layer == pytest.approx(listed["LLM layers"], rel=1e-3)


@pytest.mark.parametrize(
    ("budget", "column"),
    [
        ("flops=20", "physical: TFLOP"),
        ("ms=80", "physical: ms"),
        ("kv=100", "KV cache MB"),
        ("mean=0.3", "visual tokens, mean %"),
    ],
)
def test_budget_is_met_in_its_unit(budget: str, column: str) -> None:
    parts, memory, _ = tables("model=llava_ov", "reducer=fastv", f"budget.{budget}")
    asked = float(budget.partition("=")[2]) * (100 if budget.startswith("mean") else 1)
    llm = [row for row in parts if row["plan"] == "fastv" and row["part"] in ("LLM layers", "LM head")]
    rows = llm if column in llm[0] else [memory[1]]
    assert sum(float(row[column]) for row in rows) == pytest.approx(asked, rel=0.02)


@pytest.mark.parametrize("scope", ["picture", "tile"])
def test_a_number_of_tokens_is_a_budget_as_it_is_of_a_run(scope: str) -> None:
    words = ["model=llava_next", "reducer=fastv", "budget.tokens=640", f"budget.scope={scope}", "--format", "csv"]
    done = CliRunner().invoke(app, ["cost", *words])
    assert "asked for 640 tokens, nearest 640 tokens at ratio=0.222222\n" in done.stderr
    layers = list(csv.DictReader(io.StringIO(done.stdout.strip().split("\n\n")[2])))
    assert [int(row["tokens"]) - 88 for row in layers if row["plan"] == "fastv"] == [2880, 640]


def test_published_budget_gives_the_published_ratio() -> None:
    words = ["reducer.apply=same", "profile=llm-viewer-compat", "budget.flops=14.76"]
    done = CliRunner().invoke(app, ["cost", "model=llava_ov", "reducer=aim", *words, "--format", "csv"])
    assert "nearest 14.76 TFLOP (llm-viewer-compat) at ratio=0.25\n" in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["budget.flops=0.5"], "budget 0.5 TFLOP is out of reach: this method attains 7.818 to 91.42 TFLOP"),
        (["budget.ms=80", "ratio=0.5"], "exclude each other"),
        (["budget.ms=80", "budget.kv=9"], "exclude each other"),
        (["budget.ms=80", "budget.tokens=9"], "exclude each other"),
        (["budget.tokens=9", "ratio=0.5"], "exclude each other"),
        (["budget.tokens=9", "budget.scope=x"], "budget.scope=x is not allowed: choose picture | tile"),
        (["budget.wat=80"], "unknown option 'wat' of budget: choose flops, kv, mean, ms, scope, tokens, tol"),
        (["hardware=abacus"], "unknown hardware 'abacus': choose a100_40g"),
        (["hardware=cpu"], "hardware=cpu does not know hardware.bandwidth: `winnow calibrate cpu` measures it"),
        (["profile=mine"], "profile=mine is not known: choose physical | llm-viewer-compat"),
        (["model.scale=tiny"], "model.scale=tiny has no cost worth a table"),
        (["fastv"], "'fastv' is not allowed here: give name=value"),
        (["reducer=none", "budget.ms=3"], "reducer=none has no knob"),
        (["reducer=none", "budget.tokens=3"], "reducer=none has no knob"),
        (["model=qwen2_vl", "reducer=tome_tower"], "reducer=tome_tower cannot work on model=qwen2_vl"),
    ],
)
def test_mistake_is_one_line(words: list[str], message: str) -> None:
    with pytest.raises(WinnowError) as error:
        run(["model=llava_ov", "reducer=fastv", *words], "csv")
    assert message in str(error.value) and "\n" not in str(error.value)


def test_a_measured_processor_is_one_to_ask_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `winnow calibrate cpu` prints is what `winnow cost` takes."""
    monkeypatch.setattr("winnow.harness.bench.modelled.SIDE", {"cpu": 64})
    monkeypatch.setattr("winnow.harness.bench.modelled.COPIED", {"cpu": 2**16})
    done = CliRunner().invoke(app, ["calibrate", "cpu"])
    assert done.exception is None
    words = done.stdout.strip().splitlines()[-1].split()
    parts = tables("model=llava_ov", "reducer=fastv", *words)[0]
    assert words[0] == "hardware=cpu" and float(parts[-1]["physical: ms"]) > 0


UNPLANNED = {"compose", "custom", "oracle", "same", "pixelprune"}
"""Methods that are nothing by themselves; the last keeps films whole, and pictures by what is in them."""


@pytest.mark.parametrize("name", sorted(set(options("reducer")) - UNPLANNED))
def test_every_method_has_a_plan_with_a_cost(name: str) -> None:
    words = ["model=llava15", f"reducer={name}", "model.frames=8"]
    asked, machine, rest = split(words)
    cell = cell_from(rest)
    unreduced, *reduced = plans(cell, nominal(cell.seen), asked, machine)
    full = unreduced.profiles["physical"].total(machine)
    for plan in reduced:
        spent = plan.profiles["physical"].total(machine)
        assert 0 < spent.flops < full.flops and 0 < spent.seconds < full.seconds


@pytest.mark.parametrize("name", sorted(set(options(GROUP)) - {"cpu"}))
def test_every_figure_of_a_machine_has_a_source(name: str) -> None:
    machine = hardware(name)
    figures = {key for key, value in vars(machine.peak).items() if value is not None} | {"bandwidth", "memory"}
    assert figures == set(machine.sources)
    assert set(machine.unverified) <= figures


def test_a_measured_cpu_is_said_in_words() -> None:
    machine = hardware("cpu", ["bandwidth=5", "peak.fp32=0.04"])
    assert machine.flops("float32") == 4e10
    with pytest.raises(WinnowError, match=r"CPU has no peak for bfloat16: say hardware.peak.fp16=… in TFLOP/s"):
        machine.flops("bfloat16")


def test_it_answers_at_once() -> None:
    """Under 2 s on an idle machine: of the processor's time, since tests share the machine."""
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(COMMAND, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(seconds) < 2


def test_it_imports_nothing_heavy() -> None:
    command = [sys.executable, "-X", "importtime", *COMMAND[1:]]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert not imported & {"torch._C", "transformers", "lmms_eval", "pandas", "scipy", "pyarrow"}
