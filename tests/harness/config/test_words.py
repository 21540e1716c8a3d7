"""A cell's words make the very cell; what no words make is told by none."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cells import cell
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import example, given, settings
from hypothesis import strategies as st

from winnow.harness.config.cell import Method
from winnow.harness.config.overrides import cell_from
from winnow.harness.config.words import _values, said, words_of

WORDS = [
    (),
    ("reducer=fastv", "ratio=0.25", "schedule=pico", "limit=4"),
    ("reducer=fastv", "schedule=pico_k", "schedule.k=5", "reducer.rows=text", "batch_size=3"),
    ("reducer=vas", "reducer.r=0.3", "seed=7", "model.dtype=bfloat16", "share=none"),
    ("reducer=random", "budget.mean=0.7", "seed=2", "downsample.frames=2"),
    ("reducer=aim", "budget.tokens=64", "model=llava_ov", "tasks=videomme", "stress.media=shift"),
    ("reducer=compose", "reducer.entrance.name=prumerge", "reducer.entrance.ratio=0.5", "reducer.llm.name=fastv",
     "reducer.llm.schedule.k=5"),
    ("reducer=custom", "reducer.target=some.where:Thing", "+reducer.args.words=[a,b]", "schedule=k", "ratio=0.5"),
]  # fmt: skip


@pytest.mark.parametrize("words", [(*words,) for words in WORDS], ids=lambda words: " ".join(words[:2]) or "none")
def test_the_words_of_a_cell_make_it(words: tuple[str, ...], tmp_path: Path) -> None:
    made = cell(*words)
    (found,) = words_of([replace(made, results=tmp_path, force=True)])
    assert found and cell_from(found) == made


def test_several_cells_have_their_words_in_order() -> None:
    cells = [cell("reducer=fastv", "schedule=pico", f"ratio={ratio}") for ratio in (0.2, 0.4)]
    cells.insert(1, replace(cells[0], method=Method("gone", "no.where:Gone", {})))
    first, none, last = words_of(cells)
    assert none == [] and (first[-1], last[-1]) == ("ratio=0.2", "ratio=0.4")


def test_what_no_words_make_has_none() -> None:
    odd: Any = replace(cell("reducer=fastv", "schedule=pico").method, args={"unheard_of": 1})
    assert words_of([replace(cell(), method=odd)]) == [[]]


@given(st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=12))
@settings(deadline=None)
@example("it's \\' a \\\\")
def test_any_text_is_quoted_as_hydra_reads_it(text: str) -> None:
    (override,) = OverridesParser.create().parse_overrides([f"tasks.prompt={said(text)}"])
    assert override.value() == text


@pytest.mark.parametrize(
    ("base", "wanted", "words"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1, "b": {"c": 2, "d": 3}}, {"a": 2, "b": {"c": 2, "d": 4}}, ["x.a=2", "x.b.d=4"]),
        ({"b": {"c": 2}}, {"b": {"c": 2, "d": 3}}, ["x.b={c:2,d:3}"]),  # one that grew is set as a whole
        ({"b": {"c": 2, "d": 3}}, {"b": {"c": 2}}, ["x.b={c:2}"]),
        ({}, {"a": None, "b": "t"}, ["x.b=t"]),
        ({"a": 1, "b": {"c": 1}}, {"a": None, "b": 3}, ["x.a=null", "x.b=3"]),
        ({"a": [1]}, {"a": [1, 2]}, ["x.a=[1,2]"]),
    ],
)
def test_leaves_that_are_other_ones(base: dict[str, Any], wanted: dict[str, Any], words: list[str]) -> None:
    assert [*_values("x", base, wanted)] == words
    assert [*_values("", base, wanted)] == [word.removeprefix("x.") for word in words]


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "null"), (True, "true"), (False, "false"), (1.5, "1.5"), ([1, "a b"], "[1,'a b']"), ((), "[]"),
     ({"a": None, 3: [True]}, "{a:null,'3':[true]}"), ("null", "'null'"), ("Nan", "'Nan'"), ("12", "'12'"),
     ("a/b.c:d@e-f", "a/b.c:d@e-f"), ("", "''"), ("it's", "'it\\'s'")],
)  # fmt: skip
def test_values_as_they_are_said(value: Any, text: str) -> None:
    assert said(value) == text
