"""Does another seed's training end alike: the main figures of two sets of weights side by side."""

from __future__ import annotations

from collections.abc import Iterator

from scripts.figures import instrument, methods
from scripts.figures.instrument import FILM, TOPICS
from scripts.figures.runs import Store
from winnow.harness.results.tables.runs import plus_minus
from winnow.harness.run.result import Result

LOOKS = (
    ("10 % at random", ("reducer=random", "ratio=0.1", "schedule=none")),
    ("10 %, the asked things first (`oracle`)", ("reducer=oracle", "ratio=0.1", "schedule=none")),
    ("FastV at 25 %", ("reducer=fastv", "ratio=0.25", "schedule=pico")),
)


def compute(store: Store) -> None:
    """Run the other weights over all topics, and three looks at videos."""
    section, weights = _section(store), f"model.weights={store.other}"
    store.sweep(section, "reducer=none", "tasks=" + ",".join(f"pico_{topic}" for topic in TOPICS), weights)
    store.sweep(section, "reducer=none", *FILM, weights)
    for _, words in LOOKS:
        store.sweep(section, *words, "tasks=pico_video", weights)


def rows(store: Store) -> Iterator[str]:
    """Yield a table with one row for each topic, all visual tokens, and for each look; the shipped ones are stored."""
    shipped = _figures([*store.results(methods.SECTION), *store.results(instrument.SECTION)])
    columns = shipped, _figures(store.results(_section(store)))
    keys = {f"{topic}, all visual tokens": ("none", "", f"pico_{topic}") for topic in (*TOPICS, "film")}
    for name, (reducer, ratio, _) in LOOKS:
        keys[f"video, {name}"] = (reducer.partition("=")[2], ratio.partition("=")[2], "pico_video")
    if not shipped.keys() >= {*keys.values()}:
        raise SystemExit("the shipped weights' runs are not stored: run this program for parts methods and instrument")
    yield "| | shipped weights, % | another seed, % |"
    yield "| --- | --- | --- |"
    for name, key in keys.items():
        yield f"| {name} | {' | '.join(one[key] for one in columns)} |"


def _section(store: Store) -> str:
    """Return the folder of these weights' runs, which those of a third seed must not enter."""
    assert store.other is not None, "the part is left out without other weights"
    return "spread-" + "-".join(store.other.parts[-2:])


def _figures(results: list[Result]) -> dict[tuple[str, str, str], str]:
    """Return accuracies with half of their intervals, by reducer, ratio and task, without the anti-oracle's."""
    return {
        (one["reducer"], one["asked"], task["task"]): plus_minus(task)
        for one in results
        if one["knobs"].get("select") != "lowest" and "like" not in one["knobs"]
        for task in one["tasks"]
    }
