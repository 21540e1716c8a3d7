"""Commands of `winnow` for methods, before they are run on a benchmark: check, cost, calibrate, bench."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from winnow.harness.cli.completion import complete
from winnow.harness.common.console import Format, print_table
from winnow.harness.common.exits import INCOMPLETE
from winnow.reducers.core.errors import WinnowError

commands = typer.Typer()


@commands.command()
def check(
    target: Annotated[str, typer.Argument(help="The method, as their.package:Class.")],
    options: Annotated[
        list[str] | None,
        typer.Option("--arg", help="A field of it, e.g. --arg ratio=0.25 --arg schedule.kind=k --arg schedule.k=2."),
    ] = None,
    layers: Annotated[int, typer.Option(help="Depth of the tiny models that it is tried on.")] = 8,
) -> None:
    """Hold a method of your own to the invariants, on tiny models of every family; exit code 1 if it breaks one."""
    import torch

    from winnow.harness.bench.check import check as findings
    from winnow.harness.bench.check import make, report

    torch.set_num_threads(1)  # tiny models are faster on one
    reducer = make(target, options or [])
    if report(reducer, list(findings(reducer, layers))):
        raise typer.Exit(INCOMPLETE)


@commands.command()
def cost(
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            help="As run.py takes them, and hardware=…, profile=…, budget.flops|ms|kv|mean=… (TFLOP, ms, MB)",
            autocompletion=complete,
        ),
    ] = None,
    published: Annotated[bool, typer.Option("--published", help="The cost columns of the papers beside ours.")] = False,
    form: Annotated[Format, typer.Option("--format", help="How to print it.")] = "rich",
) -> None:
    """Print what a method's plan costs: FLOPs, roofline time, bytes and memory by part and by layer. Loads no model."""
    from winnow.harness.common.lazy_import import import_later

    import_later("torch")  # seconds, for nothing: no plan computes with tensors
    from winnow.harness.cli.commands.cost import publish, run

    if published and overrides:
        raise WinnowError(f"--published takes no overrides: leave {overrides[0]} out")
    publish(form) if published else run(overrides or [], form)


@commands.command()
def calibrate(
    method: Annotated[
        str,
        typer.Argument(help="vtw: its layer; vas: its ratio; cpu: this machine, for winnow cost."),
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            help="As run.py takes them: model=…, tasks=… (pico's dev split), schedule=…",
            autocompletion=complete,
        ),
    ] = None,
    documents: Annotated[int, typer.Option(help="Documents per task to look at.")] = 20,
    eta: Annotated[float, typer.Option(help="vtw: largest KL(p_k || p_full).")] = 0.003,
    first: Annotated[int, typer.Option(help="vtw: first layer to try.")] = 5,
    mean: Annotated[float, typer.Option(help="vas: wanted mean share of visual tokens over the layers.")] = 0.5,
    knob: Annotated[str, typer.Option(help="vas: what to search, ratio | r.")] = "ratio",
    tol: Annotated[float, typer.Option(help="vas: how far from the wanted share the nearest may lie.")] = 0.02,
) -> None:
    """Find a method's knob from a model's behaviour on a few documents, and print the override to use."""
    from winnow.harness.bench.calibrators import calibrate_cpu, calibrate_vas, calibrate_vtw

    if documents < 1:
        raise WinnowError(f"--documents {documents} is not allowed: choose 1 or more")
    if method == "vtw":
        calibrate_vtw(overrides or [], eta, first, documents)
    elif method == "cpu":
        calibrate_cpu()
    elif method == "vas":
        calibrate_vas(overrides or [], mean, knob, tol, documents)
    else:
        raise WinnowError(f"{method} cannot be calibrated: choose cpu | vas | vtw")


@commands.command()
def bench(
    overrides: Annotated[
        list[str],
        typer.Argument(
            help="As run.py -m takes them: model=… reducer=fastv,vas ratio=… batch_size=…",
            autocompletion=complete,
        ),
    ],
    rounds: Annotated[int, typer.Option(help="Rounds that count; each runs every method once.")] = 5,
    warmup: Annotated[int, typer.Option(help="Rounds before them.")] = 1,
    new_tokens: Annotated[int, typer.Option(help="Tokens to generate.")] = 8,
    tower: Annotated[str, typer.Option(help="Encode the pictures in each generation, or once: each | once.")] = "each",
    clock: Annotated[
        str, typer.Option(help="On a CPU: what passes, or what the process computes: wall | cpu.")
    ] = "wall",
    threads: Annotated[int | None, typer.Option(help="CPU threads.")] = None,
    minutes: Annotated[float, typer.Option(help="Refuse what is estimated to take longer.")] = 60.0,
    eager: Annotated[bool, typer.Option("--eager", help="Also time eager attention with output_attentions.")] = False,
    results: Annotated[Path, typer.Option(help="Folder of the measurements.")] = Path("results/bench"),
    form: Annotated[Format, typer.Option("--format", help="How to print it.")] = "rich",
) -> None:
    """Time methods against the unreduced model, on random pixels: TTFT by phase, TPOT, memory; at each batch_size."""
    from winnow.harness.bench.batches import by_batch, throughput
    from winnow.harness.bench.report import show
    from winnow.harness.bench.runner import Settings, bench

    settings = Settings(rounds, warmup, new_tokens, tower, clock, threads, minutes, eager)  # type: ignore[arg-type]
    made = []
    for words in by_batch(overrides):
        made.append(bench(words, settings, results))
        show(made[-1], form)
    if len(made) > 1:
        print_table(
            throughput(made),
            form,
            left=("method",),
            title="throughput, prompts a second, in one process",
            keys=("method",),
        )


@commands.command()
def new(
    name: Annotated[str, typer.Argument(help="The method's name, as in reducer=NAME.")],
    into: Annotated[Path, typer.Option(help="Folder in which its package is written.")] = Path(),
) -> None:
    """Begin a method of your own: write a package with the method, its YAML and its test."""
    from winnow.harness.bench.new import new as write

    print(*write(name, into), sep="\n")
    print(f"then: pip install -e {into / name} && pytest {into / name}; python run.py reducer={name}")


@commands.command()
def methods(
    names: Annotated[list[str] | None, typer.Argument(help="Which; all if none is named.")] = None,
    form: Annotated[Literal["rich", "md", "csv", "json"], typer.Option("--format", help="How to print it.")] = "rich",
) -> None:
    """List the methods: paper, source, where they act, what they need, their knobs (all of it as JSON)."""
    from winnow.harness.bench.methods import registry

    found = registry(names or [])
    if form == "json":
        print(json.dumps(found, indent=2, ensure_ascii=False))
        return
    rows = [
        {
            "method": entry["name"],
            "does": entry["does"].partition(": ")[2] or entry["does"],
            "venue": entry["venue"] or "",
            "acts at": ", ".join(entry["sites"]),
            "needs attention": "" if entry["attention_free"] else "yes",
            "count depends on content": "yes" if entry["adaptive"] else "",
        }
        for entry in found
    ]
    print_table(rows, form, ("method", "does", "venue", "acts at"), "Methods", wrap=("does",), keys=("method",))
