"""What a call of `generate` is, and what of it is refused before anything is computed."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from winnow.models.engine.calls import (
    Call,
    Rule,
    check_call,
    check_drafts,
    check_generate,
    check_late_drafts,
    configured,
)
from winnow.reducers.core.errors import UnsupportedError

IDS = torch.tensor([[1, 2, 3], [4, 5, 6]])


def call(ids: torch.Tensor | None = IDS, width: int = 3) -> Call:
    return Call(ids, width, numbered=False)


def test_rows_that_begin_with_the_prompts() -> None:
    assert call().begins(IDS) and call().begins(torch.cat([IDS, IDS], 1))
    assert call().begins(IDS.repeat_interleave(2, 0)) and not call().begins(IDS.repeat(2, 1))
    assert not call().begins(IDS[:, :2]) and not call().begins(torch.cat([IDS, IDS[:1]]))
    assert not call().begins(IDS.flip(0)) and not call(None).begins(IDS)
    assert not call(width=4).begins(torch.cat([IDS, IDS], 1))  # an answer of before is no prompt


@pytest.mark.parametrize(("rows", "width", "known"), [(2, 3, True), (4, 3, True), (3, 3, False), (2, 4, False)])
def test_ids_of_embeddings_are_those_of_as_many_sequences_of_each_prompt(rows: int, width: int, known: bool) -> None:
    found = call().ids_of({"inputs_embeds": torch.zeros(rows, width, 8)})
    assert (None if found is None else found.tolist()) == (
        IDS.repeat_interleave(rows // 2, 0).tolist() if known else None
    )


def test_nothing_is_known_of_embeddings_alone() -> None:
    assert call().ids_of({}) is None and call(None).ids_of({"inputs_embeds": torch.zeros(2, 3, 8)}) is None


def test_a_call_is_first_until_it_has_run() -> None:
    assert call().first and call().prompts == 2 and call(None).prompts == 1 and call().sizes == {}


RULES = {
    "a": Rule("refused", "is not done"),
    "b": Rule("refused", "never", (None, True, 1)),
    "c": Rule("exact", "as it is"),
}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"a": True}, "a=True is not done"),
        ({"a": 0}, "a=0 is not done"),  # which equals False, and is none
        ({"a": torch.zeros(1)}, "a is not done"),
        ({"a": [1]}, "a is not done"),
        ({"b": False}, "b=False never"),
        ({"b": 1.0}, "b=1.0 never"),
        ({"b": "x"}, "b=x never"),
    ],
)
def test_refusals_name_the_argument_and_its_value(values: dict[str, Any], said: str) -> None:
    with pytest.raises(UnsupportedError) as error:
        check_call(RULES, values)
    assert str(error.value) == said


def test_values_that_are_allowed_pass_and_so_do_other_names() -> None:
    check_call(RULES, {"a": None, "b": True, "c": "anything", "d": torch.zeros(1)})
    check_call(RULES, {"a": False, "b": 1})


def model(**config: Any) -> Any:
    return SimpleNamespace(generation_config=SimpleNamespace(**config))


def test_a_field_is_the_calls_then_its_configurations_then_the_models() -> None:
    own, bound = model(num_beams=3), {"generation_config": SimpleNamespace(num_beams=2)}
    assert configured(own, bound | {"kwargs": {"num_beams": 1}}, "num_beams") == 1
    assert configured(own, bound, "num_beams") == 2 and configured(own, {}, "num_beams") == 3
    assert configured(own, {"generation_config": SimpleNamespace(num_beams=None)}, "num_beams") == 3
    assert configured(own, {"kwargs": {"num_beams": None}}, "num_beams") is None
    assert configured(own, {}, "other") is None


LOOKUP: dict[str, Any] = {"kwargs": {"prompt_lookup_num_tokens": 3}}
PICTURED: dict[str, Any] = {"kwargs": {"prompt_lookup_num_tokens": 3, "pixel_values": torch.zeros(1)}}


def test_what_carries_a_state_takes_no_drafts() -> None:
    state = SimpleNamespace(_is_stateful=True, generation_config=SimpleNamespace())
    check_drafts(model(), LOOKUP)
    check_drafts(state, {"kwargs": {}})
    with pytest.raises(UnsupportedError, match=r"^prompt_lookup_num_tokens: SimpleNamespace carries a state"):
        check_drafts(state, LOOKUP)
    with pytest.raises(UnsupportedError, match=r"^assistant_model: SimpleNamespace carries a state"):
        check_drafts(state, {"assistant_model": object()})


@pytest.mark.parametrize("late", [True, False])
def test_drafts_beside_pictures_of_a_later_turn_depend_on_the_family(late: bool) -> None:
    family: Any = SimpleNamespace(late_drafts=late)
    check_late_drafts(model(), family, LOOKUP)
    check_late_drafts(model(), family, {"kwargs": {"pixel_values": torch.zeros(1)}})
    if late:
        check_late_drafts(model(), family, PICTURED)
        return
    with pytest.raises(UnsupportedError, match="prompt_lookup_num_tokens: in a later turn with pictures"):
        check_late_drafts(model(), family, PICTURED)


def test_a_model_is_no_draft_of_itself() -> None:
    own = model()
    check_generate(own, {"assistant_model": model()})
    with pytest.raises(UnsupportedError, match="assistant_model is the model itself"):
        check_generate(own, {"assistant_model": own})
    with pytest.raises(UnsupportedError, match="use_mtp=True its drafting layers"):
        check_generate(model(use_mtp=True), {})
    with pytest.raises(UnsupportedError, match="image_hidden_states pictures that were encoded outside"):
        check_generate(own, {"kwargs": {"image_hidden_states": torch.zeros(1)}})


NOTHING = [("cache_implementation", "dynamic"), ("cache_implementation", "offloaded"), ("num_beam_groups", 1)]
NOTHING += [("diversity_penalty", 0.0), ("token_healing", False), ("is_causal", True), ("labels", None)]


@pytest.mark.parametrize(("name", "value"), NOTHING)
def test_values_that_ask_for_nothing_of_what_is_refused_pass(name: str, value: object) -> None:
    check_generate(model(), {"kwargs": {name: value}})


@pytest.mark.parametrize(
    ("name", "value"),
    [("cache_implementation", "static"), ("num_beam_groups", 2), ("diversity_penalty", 1.0), ("is_causal", False)],
)
def test_other_values_of_these_are_refused(name: str, value: object) -> None:
    with pytest.raises(UnsupportedError, match=f"^{name}={value} "):
        check_generate(model(), {"kwargs": {name: value}})
