"""Does the instrument work: accuracy by type of question, and of random, the oracle and its opposite."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from scripts.figures.runs import Store
from winnow.harness.common.run_files import read_samples, read_scores
from winnow.harness.results.tables.runs import plus_minus
from winnow.harness.run.result import Result
from winnow.harness.score.stats import figure, percent
from winnow.models.pico.questions import LETTERS

SECTION = "instrument"
TOPICS = ("video", "image", "place", "number", "letter", "second")
RATIOS = (0.5, 0.25, 0.125, 0.1)
FILM = ("tasks=pico_film", "model.frames=64", "limit=100", "batch_size=4")
ORDERS = (
    ("the asked things first (`oracle`)", "reducer=oracle"),
    ("random", "reducer=random"),
    ("the asked things last (`oracle`, `select=lowest`)", "reducer=oracle reducer.select=lowest"),
)


def compute(store: Store) -> None:
    """Run everything that these figures need."""
    for tasks in (("tasks=" + ",".join(f"pico_{topic}" for topic in TOPICS),), FILM):
        ratios = RATIOS if tasks != FILM else (0.25, 0.1)
        store.sweep(SECTION, "reducer=none,blind", *tasks)
        for _, words in ORDERS:
            store.sweep(SECTION, *words.split(), f"ratio={','.join(map(str, ratios))}", "schedule=none", *tasks)


def kinds(store: Store) -> Iterator[str]:
    """Yield a table of accuracy by topic and type of question, all visual tokens and none."""
    yield "| topic | type | all visual tokens, % | none (`blind`), % | n |"
    yield "| --- | --- | --- | --- | --- |"
    runs = {(one["tasks"][0]["task"], one["reducer"]): one for one in store.results(SECTION)}
    for topic in (*TOPICS, "film"):
        full, blind = (runs[f"pico_{topic}", reducer] for reducer in ("none", "blind"))
        for kind in _types(store, full):
            (value, count), (without, _) = (_accuracy(store, one, kind) for one in (full, blind))
            yield f"| {topic} | {kind} | {value} | {without} | {count} |"


def _types(store: Store, result: Result) -> list[str]:
    """Return the types of question of a run, in the order in which they first came; "all" where there are several."""
    prefix = "pico_"
    names = [name.removeprefix(prefix) for _, name in read_scores(store.folder / SECTION / result["id"])]
    found = [name for name in dict.fromkeys(names) if name != "accuracy"]
    return found if len(found) == 1 else ["accuracy", *found]


def _accuracy(store: Store, result: Result, kind: str) -> tuple[str, int]:
    """Return accuracy ± half of its interval, and the number of questions."""
    scores = read_scores(store.folder / SECTION / result["id"])[result["tasks"][0]["task"], f"pico_{kind}"]
    found = percent(figure([one.score for one in scores.values()]))
    return plus_minus(found), len(scores)


def letters(store: Store) -> Iterator[str]:
    """Yield a table of how often each letter is answered, by how much is seen: a bias shows here."""
    yield f"| tokens kept | {' | '.join(LETTERS[:4])} |"
    yield "| --- | --- | --- | --- | --- |"
    for name, reducer, asked in (("all", "none", ""), ("25 % at random", "random", "0.25"), ("none", "blind", "")):
        chosen = [one for one in store.results(SECTION) if (one["reducer"], one["asked"]) == (reducer, asked)]
        (run,) = [one["id"] for one in chosen if one["tasks"][0]["task"] == "pico_letter"]
        samples = read_samples(store.folder / SECTION / run, "pico_letter")
        given = Counter(str(one["answer"]).strip(" .()") for one in samples)
        yield f"| {name} | {' | '.join(f'{100 * given[letter] / given.total():.0f} %' for letter in LETTERS[:4])} |"


def orders(store: Store) -> Iterator[str]:
    """Yield a table of accuracy by ratio: the oracle, random, the anti-oracle, for each topic."""
    yield f"| topic | tokens kept | {' | '.join(f'{ratio:.3g}' for ratio in RATIOS)} |"
    yield f"| --- | --- |{' --- |' * len(RATIOS)}"
    found = {}
    for one in store.results(SECTION):
        lowest = one["knobs"].get("select") == "lowest"
        found[one["tasks"][0]["task"], one["reducer"], lowest, float(one["asked"] or 1)] = one["tasks"][0]
    for topic in (*TOPICS, "film"):
        for name, words in ORDERS:
            reducer, lowest = words.split()[0].removeprefix("reducer="), "lowest" in words
            cells = [found.get((f"pico_{topic}", reducer, lowest, ratio)) for ratio in RATIOS]
            texts = [plus_minus(one) for one in cells]
            yield f"| {topic} | {name} | {' | '.join(texts)} |"
