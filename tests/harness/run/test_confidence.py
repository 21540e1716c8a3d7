"""How sure a model was is read off as it decodes, and nothing that it says changes."""

import pytest
import torch

from winnow.harness.data.document import options_of
from winnow.harness.run.confidence import Confidence, beginnings, endings
from winnow.harness.run.record import Row, from_line
from winnow.harness.tasks.catalogue import BENCHMARKS


def test_log_probabilities_are_those_of_the_chosen_tokens_and_of_the_options() -> None:
    torch.manual_seed(0)
    steps = torch.randn(3, 2, 11)
    sure = Confidence([[torch.tensor([4, 5]), torch.tensor([6])], []])
    assert all(sure(torch.zeros(2, 1), step) is step for step in steps)
    logs = steps.double().log_softmax(-1)
    wanted = [sum(float(logs[t, row].max()) for t in range(length)) for row, length in enumerate((3, 2))]
    assert sure.of_answers([3, 2]) == pytest.approx(wanted, abs=1e-4)
    first = logs[0, 0].exp()
    assert sure.of_options()[0] == pytest.approx([float((first[4] + first[5]).log()), float(first[6].log())], abs=1e-4)
    assert sure.of_options()[1] == []


def test_an_answer_ends_where_it_says_so_or_is_cut_off() -> None:
    new = torch.tensor([[5, 9, 0], [5, 6, 7], [9, 9, 9]])
    assert endings(new, 9, 3) == [(2, False), (3, True), (1, False)]
    assert endings(new, [9, 7], 3)[1] == (3, False) and endings(new, None, 4)[1] == (3, False)


def test_only_whole_tokens_begin_an_option() -> None:
    ids = {"A": [1], " A": [0, 1], "yes": [2, 3], "Yes": [4], " yes": [5], " Yes": [0, 4], "YES": [6, 7], " YES": [8]}

    class Tokenizer:
        unk_token_id = 8

        def __call__(self, text: str, add_special_tokens: bool) -> dict[str, list[int]]:
            return {"input_ids": ids[text]}

    tokenizer = Tokenizer()
    assert beginnings(tokenizer, "A").tolist() == [1]
    assert beginnings(tokenizer, "yes").tolist() == [4, 5]


def test_options_are_letters_or_yes_and_no() -> None:
    assert options_of(BENCHMARKS["pope_adv"], {}) == ("yes", "no") and options_of(None, {}) == ()
    row = {"options": ["A. red", "B. blue", "C. green"]}
    assert options_of(BENCHMARKS["videomme"], row) == ("A", "B", "C")
    assert options_of(BENCHMARKS["gqa"], {}) == ()


def test_a_row_keeps_them() -> None:
    row = Row("t", 1, "d", "A", generated=2, cut=True, logprob=-0.5, options=[-0.1, -2.5])
    assert from_line(row.to_line()) == row
