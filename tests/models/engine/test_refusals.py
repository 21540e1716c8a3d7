"""What is refused of models, caches, kinds of tokens and several sequences, each by hand."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn
from transformers import DynamicCache, StaticCache

from winnow.models.engine import checks
from winnow.models.engine.ledger import Held, Ledger
from winnow.reducers.core.errors import UnsupportedError, WinnowError
from winnow.reducers.core.layout import Layout
from winnow.reducers.none import NoReduction

PICTURED, PLAIN = Layout.of(6, (1, (1, 2, 2))), Layout(3)


def refused(check: Callable[[], object], said: str) -> None:
    with pytest.raises(UnsupportedError, match=said):
        check()


def family(**own: Any) -> Any:
    known = {"name": "some", "mrope": False, "packed": False, "both_ways": False, "kinds": "token_type_ids"}
    return SimpleNamespace(**known | own)


def filled(*lengths: int) -> DynamicCache:
    made = DynamicCache()
    for layer, length in enumerate(lengths):
        made.update(torch.zeros(1, 1, length, 2), torch.zeros(1, 1, length, 2), layer)
    return made


def books(*held: int | None, width: int, counted: int = 0) -> Ledger:
    rows = [None if n is None else Held(torch.arange(n)[None], torch.ones(1, n, dtype=torch.bool)) for n in held]
    return Ledger("me", len(held), width=width, batch=1, held=rows, counted=counted)


def test_caches_whose_layers_cannot_differ_in_length() -> None:
    checks.check_cache(None)
    checks.check_cache(DynamicCache())
    refused(lambda: checks.check_cache(StaticCache.__new__(StaticCache)), "^StaticCache cannot hold layers")


def test_a_cache_holds_what_the_books_say() -> None:
    checks.check_held(None, books(None, None, width=0), [None, None])
    checks.check_held(filled(5, 3), books(None, 3, width=5), [None, None])
    refused(lambda: checks.check_held(filled(4, 3), books(None, 3, width=5), [None] * 2), "of 4 tokens .* where 5 were")
    refused(lambda: checks.check_held(None, books(None, width=5), [None]), "a KV cache of 0 tokens")
    refused(lambda: checks.check_held(filled(5, 3), books(None, 4, width=5), [None] * 2), "layer 1 .* 3 tokens where 4")
    refused(lambda: checks.check_held(filled(5), books(None, 3, width=5), [None] * 2), "layer 1 .* 0 tokens where 3")


def test_sliding_layers_and_those_with_a_state_hold_what_they_hold() -> None:
    checks.check_held(filled(5, 2), books(None, None, width=5), [None, 2])
    checks.check_held(filled(5, 1), books(None, None, width=5), [None, None], keyless={1})


def test_a_layer_with_a_state_needs_room_for_it() -> None:
    ledger, padded = books(None, width=5), torch.tensor([[0, 1]])
    checks.check_states((), DynamicCache(), padded, ledger)
    checks.check_states({0}, None, None, ledger)
    checks.check_states({0}, None, torch.tensor([[1, 1]]), ledger)
    checks.check_states({0}, None, padded, books(None, width=0))  # in front of a prompt
    refused(lambda: checks.check_states({0}, DynamicCache(), None, ledger), "no room for the states")
    refused(lambda: checks.check_states({0}, filled(5), None, ledger), "no room for the states")
    refused(lambda: checks.check_states({0}, None, padded, ledger), "padding behind a cached prompt")


@pytest.mark.parametrize(("token", "unnumbered", "mrope"), [(7, True, False), (7, False, True), (3, True, True)])
def test_pictures_behind_a_cached_prompt_are_numbered(token: int, unnumbered: bool, mrope: bool) -> None:
    parts: Any = SimpleNamespace(outer=SimpleNamespace(config=SimpleNamespace(image_token_id=7, video_token_id=8)))
    checks.check_turn(family(mrope=mrope), parts, [torch.tensor([1, token])], unnumbered)
    for picture in (7, 8):
        prompts = [torch.tensor([1]), torch.tensor([2, picture])]
        refused(lambda turn=prompts: checks.check_turn(family(mrope=True), parts, turn, True), "^some does not number")


def test_several_sequences_of_several_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which transformers 5.17 repeats one by one."""
    two, one = {"pixel_values": torch.zeros(2, 3)}, {"pixel_values": torch.zeros(1, 3), "pixel_values_videos": None}
    monkeypatch.setattr(checks, "TAKES_APART", True)
    checks.check_copies(family(), [PICTURED], two, 1)
    checks.check_copies(family(), [PICTURED, PICTURED], one, 2)
    checks.check_copies(family(), [PICTURED, PICTURED], two, 2)
    checks.check_copies(family(), [PICTURED, PICTURED, PLAIN, PLAIN], two, 2)
    checks.check_copies(family(), [PICTURED] * 2, {"image_sizes": torch.zeros(9)}, 2)
    checks.check_copies(family(mrope=True, packed=True), [PICTURED] * 4, two, 2)
    checks.check_copies(family(packed=True), [PICTURED] * 2, one, 2)
    refused(lambda: checks.check_copies(family(), [PICTURED, PLAIN], two, 2), "a prompt that has several")
    refused(
        lambda: checks.check_copies(family(), [PICTURED], two | {"pixel_values_videos": two}, 2), "that has several"
    )
    refused(lambda: checks.check_copies(family(packed=True), [PICTURED] * 4, {}, 2), "several prompts of some")
    monkeypatch.setattr(checks, "TAKES_APART", False)
    checks.check_copies(family(packed=True), [PICTURED] * 4, two, 2)


def test_several_sequences_of_a_film_that_its_own_model_pruned() -> None:
    pruned = Layout(6, PICTURED.spans, gone=1)
    checks.check_own_pruning([PICTURED, pruned], 1)
    checks.check_own_pruning([PICTURED], 2)
    refused(lambda: checks.check_own_pruning([PICTURED, pruned], 2), "own pruning has taken tokens")


def test_pictures_that_are_seen_both_ways_have_kinds_of_the_whole_conversation() -> None:
    kinds, both = torch.zeros(1, 5), family(both_ways=True)
    checks.check_kinds(both, [PICTURED], kinds)
    checks.check_kinds(both, [PLAIN], None)
    checks.check_kinds(family(), [PICTURED], None)
    refused(lambda: checks.check_kinds(both, [PLAIN, PICTURED], None), "^some needs token_type_ids with pictures")
    checks.check_kinds_width(both, kinds, 5)
    checks.check_kinds_width(both, None, 9)
    checks.check_kinds_width(family(), kinds, 9)
    for tokens in (4, 6):
        refused(
            lambda n=tokens: checks.check_kinds_width(both, kinds, n),
            f"of 5 tokens where the conversation has {tokens}",
        )


def parts(attention: str, *layers: nn.Module, **config: Any) -> Any:
    return SimpleNamespace(
        llm=SimpleNamespace(config=SimpleNamespace(_attn_implementation=attention, **config)), layers=layers
    )


def test_attention_whose_masks_can_be_cut() -> None:
    for known in ("eager", "sdpa", "flash_attention_2", "flash_attention_3"):
        checks.check_attention(parts(known))
    refused(
        lambda: checks.check_attention(parts("flex_attention")), "^attn=flex_attention is not supported: choose eager"
    )


def test_layers_run_once() -> None:
    layer: Any = nn.Linear(1, 1)
    for training, checkpointing in ((True, False), (False, True)):
        layer.training, layer.gradient_checkpointing = training, checkpointing
        checks.check_running(parts("sdpa", layer))
    layer.training = True
    refused(lambda: checks.check_running(parts("sdpa", nn.Linear(1, 1), layer)), "runs layers twice")
    checks.check_running(parts("sdpa", nn.Linear(1, 1)))
    refused(lambda: checks.check_running(parts("flex_attention")), "not supported")


def test_flash_attention_counts_windows_in_survivors() -> None:
    nothing: Any = None

    def check(attention: str, **config: Any) -> None:
        checks.check_model(nothing, parts(attention, nn.Linear(1, 1), **config), family(), NoReduction())

    refused(lambda: check("flash_attention_2", sliding_window=4), "counts a sliding window in survivors")


def test_choices_while_decoding_are_held_and_ascend() -> None:
    held = torch.tensor([2, 3, 5])
    for kept in ([2, 5], [], [3]):
        checks.check_kept(torch.tensor(kept, dtype=torch.long), held, NoReduction())
    for kept in ([2, 4], [5, 2], [3, 3]):
        with pytest.raises(WinnowError, match="reducer none reads keys that are not held, or not in ascending order"):
            checks.check_kept(torch.tensor(kept), held, NoReduction())
