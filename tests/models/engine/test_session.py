"""What a session does at the hooks of a model, by hand; and which forward is a turn, on a tiny one."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from calling import windowed
from torch import nn
from transformers import DynamicCache

from winnow.models.check.cases import image_prompt, tiny_model
from winnow.models.engine import attach
from winnow.models.engine.attach import session_of
from winnow.models.engine.final import Final
from winnow.models.engine.ledger import Held
from winnow.models.engine.session import Session, named
from winnow.reducers.core.errors import UnsupportedError, WinnowError
from winnow.reducers.core.schedule import K
from winnow.reducers.fastv import FastV
from winnow.reducers.random import RandomDrop

NOBODY: Any = None


def session(**own: Any) -> Session:
    made = Session.__new__(Session)
    blank = dict.fromkeys(("call", "forward", "final", "wanted", "tower", "branch", "rotary", "choosing"))
    vars(made).update(blank | {"answering": False, "watched": False} | own)
    return made


class Takes(nn.Module):
    def forward(self, first: int, second: int = 2, **more: int) -> int:
        return first


def test_arguments_have_their_names() -> None:
    assert named(Takes(), (1,), {"more": 3}) == {"first": 1, "more": 3}
    assert named(Takes(), (1, 5), {}) == {"first": 1, "second": 5}
    kwargs = {"first": 1}
    assert named(Takes(), (), kwargs) is kwargs


def reads(reader: str = "trim", **own: Any) -> tuple[Session, list[Any]]:
    """A session whose method reads texts, and what is told of the prompts to come."""
    told: list[Any] = []
    family = SimpleNamespace(layouts=lambda outer, prompts, inputs: [row.tolist() for row in prompts])
    texts = SimpleNamespace(reader=reader, expect=lambda layouts, later: told.append((layouts, later)))
    parts = SimpleNamespace(outer=None)
    return session(tower=SimpleNamespace(texts=texts), family=family, parts=parts, **own), told


@pytest.mark.parametrize(
    ("mask", "held", "prompts"),
    [
        (None, 0, [[0, 7, 8], [4, 5, 6]]),
        ([[0, 1, 1], [1, 1, 1]], 0, [[7, 8], [4, 5, 6]]),
        ([[0, 1, 1], [1, 1, 1]], 2, [[8], [6]]),
        (None, 1, [[7, 8], [5, 6]]),
    ],
)
def test_who_reads_texts_is_told_of_the_prompts_without_padding(
    mask: list[list[int]] | None, held: int, prompts: list[list[int]]
) -> None:
    own, told = reads()
    ids = torch.tensor([[0, 7, 8], [4, 5, 6]])
    own.expect(ids, None if mask is None else torch.tensor(mask), {}, held)
    assert told == [(prompts, held > 0)]


def test_nobody_else_is_told() -> None:
    ids = torch.tensor([[7, 8]])
    silent, told = reads(reader="")
    silent.expect(ids, None, {}, 0)
    session().expect(ids, None, {}, 0)
    reading, more = reads()
    reading.expect(None, None, {}, 0)
    assert told == more == []


def config(**own: Any) -> Any:
    return SimpleNamespace(config=SimpleNamespace(**own))


@pytest.mark.parametrize(
    ("kwargs", "llm", "whole", "watched"),
    [
        ({}, {}, {}, False), ({"output_hidden_states": True}, {}, {}, True),
        ({"output_attentions": True}, {}, {}, True), ({"output_hidden_states": False}, {}, {}, False),
        ({}, {"output_attentions": True}, {}, True),
        ({}, {}, {"output_hidden_states": True}, True),
    ],
)  # fmt: skip
def test_whether_states_in_between_are_read(
    kwargs: dict[str, Any], llm: dict[str, Any], whole: dict[str, Any], watched: bool
) -> None:
    own = session(parts=SimpleNamespace(llm=config(**llm)))
    model: Any = nn.Module()
    model.config = config(**whole).config
    assert own.before_model(model, (), kwargs) == ((), kwargs) and own.watched is watched and own.wanted is None


def test_columns_that_are_asked_for_are_found_at_the_head() -> None:
    own, model = session(parts=SimpleNamespace(llm=config())), nn.Module()
    model.config = config().config
    for asked, given in ((torch.tensor([0, 2]), 0), (2, 2)):
        assert own.before_model(model, (), {"logits_to_keep": asked}) == ((), {"logits_to_keep": given})
    own.wanted, own.final = torch.tensor([0, -1]), Final(Held(torch.tensor([[0, 2]]), torch.ones(1, 2).bool()), 0, 3)
    hidden = torch.arange(4.0).view(1, 2, 2)
    picked = own.before_head(NOBODY, (hidden,))
    assert picked is not None and torch.equal(picked[0], hidden) and own.wanted is None
    assert own.before_head(NOBODY, (hidden,)) is None  # once


def test_deepstack_features_are_added_layer_by_layer_where_they_belong() -> None:
    places, features = torch.tensor([[False, True, True]]), [torch.ones(2, 4), torch.full((2, 4), 2.0)]
    prefill: Any = SimpleNamespace(features=[])
    kwargs = {"visual_pos_masks": places, "deepstack_visual_embeds": features, "inputs_embeds": torch.zeros(1, 3, 4)}
    cut = Session._put_features_aside(prefill, kwargs)
    assert cut["visual_pos_masks"] is None and cut["deepstack_visual_embeds"] is None
    assert Session._put_features_aside(prefill, {"visual_pos_masks": places}) == {"visual_pos_masks": places}
    own = session(forward=SimpleNamespace(prefill=prefill))
    found = [own.after_layer(torch.zeros(1, 3, 4)) for _ in range(3)]
    assert [None if one is None else one[0, :, 0].tolist() for one in found] == [[0, 1, 1], [0, 2, 2], None]
    assert session().after_layer(torch.zeros(1)) is None


def test_inputs_of_layers_are_kept_in_prefill_layer_by_layer() -> None:
    made = torch.arange(24.0).view(1, 2, 3, 4)
    prefill, family = SimpleNamespace(features=[]), SimpleNamespace(fed=True)
    own = session(forward=SimpleNamespace(prefill=prefill), family=family, depth=3)
    assert own.feed(lambda *asked: made) is made
    for layer in range(3):
        found = own.fed(layer)
        assert found is not None and torch.equal(found, made[:, :, layer])
    family.fed = False
    assert own.fed(0) is None
    step = session(forward=None, family=SimpleNamespace(fed=True), depth=3)
    assert step.feed(lambda: made) is made and step.fed(0) is None


def test_a_language_model_that_is_called_by_itself_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="the language model was called by itself"):
        session().before_llm(NOBODY, (), {})
    session().after_llm()  # another's
    hidden = torch.ones(1)
    assert session().inside_layer(NOBODY, hidden) is hidden and session().prefill is None


def test_keys_are_a_list_of_names() -> None:
    with pytest.raises(WinnowError, match="keys='ab' is one name: give a list"):
        Session(SimpleNamespace(outer=None), NOBODY, NOBODY, keys="ab")  # type: ignore[arg-type]


@torch.no_grad()
@pytest.mark.parametrize(("tokens", "turns"), [(1, 1), (2, 2), (3, 2)])
def test_several_tokens_by_hand_are_a_turn_and_one_is_a_step(tokens: int, turns: int) -> None:
    loaded = tiny_model("llava", "sdpa")
    model: Any = loaded.model
    inputs = loaded.family.encode(loaded.processor, [image_prompt()])
    more = inputs["input_ids"][:, -tokens:]
    with attach(model, FastV(ratio=0.5, schedule=K(2))) as trace:
        cache = model(**inputs, past_key_values=DynamicCache()).past_key_values
        model(input_ids=more, past_key_values=cache)
    assert len(trace.turns) == turns
    assert trace.prompts[0].layout.length == (inputs["input_ids"].shape[1] if turns == 1 else tokens)


@torch.no_grad()
@pytest.mark.parametrize("llm", ["qwen2", "mistral"])
def test_a_layer_whose_books_are_plain_is_left_alone(llm: str) -> None:
    """In front of a cut at layer 2, and behind it in a step, layers 0 and 1 get transformers' own mask and positions.

    Those of Mistral slide, within a window that nothing has left.
    """
    loaded = windowed(llm, "sdpa", window=1000)
    model, parts = loaded.model, loaded.family.parts(loaded.model)
    inputs = loaded.family.encode(loaded.processor, [image_prompt()])
    given: list[Any] = []
    with attach(model, RandomDrop(ratio=0.5, schedule=K(2))):
        for layer in parts.layers:
            layer.register_forward_pre_hook(lambda m, a, kw: given.append(kw["position_ids"]), with_kwargs=True)
        cache: Any = model(**inputs, past_key_values=DynamicCache()).past_key_values
        model(input_ids=inputs["input_ids"][:, -1:], past_key_values=cache)
        assert session_of(model).forward is None
    assert [positions is not None for positions in given] == [layer < 2 for layer in range(len(parts.layers))] * 2
