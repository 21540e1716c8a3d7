"""Frauds that are planted in real runs of pico, and the oracle: what the card says of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from winnow.harness.audit.assemble import card, store_of
from winnow.harness.audit.card import Section
from winnow.harness.audit.subjects import subjects

LIMIT = ("limit=48", "batch_size=16")


@pytest.fixture
def carded(run: Callable[..., Any], results: Path) -> Callable[..., dict[str, Section]]:
    """Run a method and some of its roles, and give the sections of its card by name."""

    def go(
        *words: str, roles: tuple[tuple[str, ...], ...] = (), like: bool = False, task: str = "pico_video"
    ) -> dict[str, Section]:
        around = (*LIMIT, f"tasks={task}")
        for role in (words, ("reducer=none",), *roles):
            assert run(*role, *around).code == 0
        found = subjects([*words, *around, f"results={results}"])
        if like:
            own = store_of(found).find(found[0].cell)
            assert own is not None and run("reducer=random", f"reducer.like={own.result['id']}", *around).code == 0
        return {section.name: section for section in card(found[0], store_of(found)).sections}

    return go


def fraud(name: str) -> tuple[str, ...]:
    return "reducer=custom", f"reducer.target=frauds:{name}", "ratio=0.5"


@pytest.mark.full
def test_a_no_op_is_caught(carded: Callable[..., dict[str, Section]]) -> None:
    found = carded(*fraud("NoOp"))["gate"]
    assert found.state == "finding" and "no-op" in found.verdict


@pytest.mark.full
def test_a_method_that_answers_through_one_word_is_caught(carded: Callable[..., dict[str, Section]]) -> None:
    found = carded(*fraud("OneAnswer"), task="pico_place")["gate"]
    assert found.state == "finding" and "too often" in found.verdict


@pytest.mark.full
def test_state_between_samples_is_caught(carded: Callable[..., dict[str, Section]]) -> None:
    words = fraud("Stateful")
    found = carded(*words, roles=((*words, "stress.order=1"),))["budget"]
    assert found.state == "finding" and "in another order" in found.verdict


@pytest.mark.full
def test_the_oracle_passes_and_the_anti_oracle_does_not(carded: Callable[..., dict[str, Section]]) -> None:
    oracle = carded("reducer=oracle", "ratio=0.1", like=True)
    assert oracle["nothing"].state == "sound" and oracle["loyalty"].state == "sound"
    anti = carded("reducer=oracle", "reducer.select=lowest", "ratio=0.1", like=True)
    assert anti["nothing"].state == "finding" and anti["loyalty"].state == "finding"
