"""What rows that decode together may be asked for, and when one is done; without a model."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from winnow.models.engine.joint import _ends, _habits, _Leaving, _lengths, _longer, _until, check_joint
from winnow.reducers.core.errors import UnsupportedError


@pytest.mark.parametrize(
    "asked",
    [
        {}, {"do_sample": None}, {"do_sample": False}, {"num_beams": 1}, {"num_beams": None}, {"use_cache": True},
        {"use_cache": None}, {"max_new_tokens": 9, "min_new_tokens": 2, "repetition_penalty": 1.3, "pad_token_id": 0},
        {"no_repeat_ngram_size": 2, "suppress_tokens": [1], "begin_suppress_tokens": [1], "length_penalty": 2.0},
    ],
)  # fmt: skip
def test_what_holds_row_by_row_passes(asked: dict[str, Any]) -> None:
    check_joint(asked)


@pytest.mark.parametrize(
    ("name", "value"),
    [("num_beams", 2), ("num_beams", 0), ("do_sample", True), ("use_cache", False), ("stop_strings", ["a"]),
     ("temperature", 0.7)],
)  # fmt: skip
def test_what_does_not_is_refused(name: str, value: Any) -> None:
    with pytest.raises(UnsupportedError) as error:
        check_joint({"max_new_tokens": 3, name: value})
    assert str(error.value).startswith(f"{name}={value} cannot be held where methods decode together")


def habits(**own: Any) -> dict[str, Any]:
    return _habits(SimpleNamespace(generation_config=SimpleNamespace(to_diff_dict=lambda: own)))


def test_what_a_model_asks_for_by_habit() -> None:
    """Sampling has no use for a greedy answer; what asks for nothing is no question; other names are no settings."""
    unused = {
        "max_length": 20,
        "do_sample": True,
        "temperature": 0.1,
        "top_p": 0.2,
        "eos_token_id": 2,
        "pad_token_id": 0,
    }
    assert habits(**unused, transformers_version="5", prompt_lookup_num_tokens=3, unheard_of=7) == {}
    nothing = {"repetition_penalty": 1.0, "no_repeat_ngram_size": 0, "suppress_tokens": None, "token_healing": False}
    assert habits(**nothing) == {}
    asked = {"repetition_penalty": 1.1, "no_repeat_ngram_size": 3, "suppress_tokens": [4], "output_attentions": True}
    assert habits(**asked) == asked
    assert habits(num_beams=1, use_cache=False) == {"num_beams": 1, "use_cache": False}


@pytest.mark.parametrize(
    ("least", "done", "until", "left"),
    [
        (None, 0, 1, (1, None)), (None, 3, 8, (5, None)), (4, 0, 1, (1, 1)), (4, 1, 8, (7, 3)), (4, 4, 8, (4, 0)),
        (4, 6, 8, (2, 0)), (9, 3, 8, (5, 5)), (0, 3, 8, (5, 0)),
    ],
)  # fmt: skip
def test_lengths_that_are_left(least: int | None, done: int, until: int, left: tuple[int, int | None]) -> None:
    generation = {} if least is None else {"min_new_tokens": least}
    found = _lengths(generation, done, until)
    assert (found["max_new_tokens"], found.get("min_new_tokens")) == left


def test_an_answer_goes_up_to_the_token_that_ends_it() -> None:
    ids, ends = torch.tensor([5, 2, 7, 2]), torch.tensor([2, 9])
    assert _until(ids, torch.isin(ids, ends)).tolist() == [5, 2]
    assert _until(ids[2:3], torch.tensor([False])).tolist() == [7]
    assert _until(ids[1:], torch.isin(ids[1:], ends)).tolist() == [2]
    for given, tokens in ((None, []), (2, [2]), ([2, 9], [2, 9])):
        model = SimpleNamespace(generation_config=SimpleNamespace(eos_token_id=given))
        assert _ends(model).tolist() == tokens and _ends(model).dtype == torch.long


def test_what_was_answered_is_no_padding() -> None:
    assert _longer(torch.tensor([[0, 1]]), torch.zeros(1, 4)).tolist() == [[0, 1, 1, 1]]


@pytest.mark.parametrize(("ended", "leaves"), [(0, False), (1, False), (2, True), (3, True), (8, True)])
def test_rows_leave_once_a_quarter_has_ended(ended: int, leaves: bool) -> None:
    ids = torch.zeros(8, 5, dtype=torch.long)
    ids[:, 1] = 3  # the prompt's, which ends nothing
    ids[:ended, 2 + ended % 3] = 3
    assert _Leaving(torch.tensor([3]), 2)(ids, None).tolist() == [leaves] * 8


@pytest.mark.parametrize("rows", [1, 4, 5])
def test_of_few_rows_one_is_enough(rows: int) -> None:
    ids = torch.zeros(rows, 3, dtype=torch.long)
    ids[0, 2] = 3
    assert _Leaving(torch.tensor([3]), 0)(ids, None).all() == (rows < 5)
