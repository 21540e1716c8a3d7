"""Methods that decode together answer as each does by itself; what has ended leaves the batch."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from calling import windowed
from sweeping import DEPTH, STEPS, SWEEP, answer, matrix, single_runs
from torch import Tensor

from winnow.models.check.cases import BATCHES, FILMS, image_prompt, tiny_model, video_prompt
from winnow.models.engine import Trunk, attach
from winnow.models.engine.joint import Begun, begin, finish
from winnow.models.families.prompt import Prompt
from winnow.models.loading.load import Loaded
from winnow.reducers.core.base import Reducer
from winnow.reducers.core.errors import UnsupportedError
from winnow.reducers.fastv import FastV
from winnow.reducers.none import NoReduction

TOLERANCE = 2e-4
FIXED = {"max_new_tokens": STEPS, "min_new_tokens": STEPS, "pad_token_id": 0}


def begun(
    loaded: Loaded, methods: Sequence[Reducer], prompts: Sequence[Prompt], numbered: bool = False, **options: Any
) -> list[Begun]:
    """Each method's prefill, in one tree."""
    inputs, keys = loaded.family.encode(loaded.processor, list(prompts)), [prompt.text for prompt in prompts]
    inputs = loaded.number(inputs) if numbered else inputs
    trunk, found = Trunk(methods), []
    for method in methods:
        with attach(loaded.model, method, keys=keys, trunk=trunk):
            found.append(begin(loaded.model, inputs, FIXED | options))
    return found


def forwards(loaded: Loaded, started: Sequence[Begun], **options: Any) -> tuple[list[list[Tensor]], list[Tensor]]:
    """The answers, and the logits of each step of decoding."""
    steps: list[Tensor] = []
    hook = loaded.model.register_forward_hook(lambda module, args, out: steps.append(out.logits[:, -1]))
    try:
        return finish(loaded.model, started, FIXED | options), steps
    finally:
        hook.remove()


def assert_joint(loaded: Loaded, alone: dict[str, tuple[Any, Any]], prompts: Sequence[Prompt], **told: Any) -> None:
    """Methods that decode together say what each said alone, step by step."""
    answers, steps = forwards(loaded, begun(loaded, [SWEEP[name] for name in alone], prompts, **told))
    assert len(steps) == STEPS - 1
    for place, (name, (out, _)) in enumerate(alone.items()):
        rows = slice(place * len(prompts), (place + 1) * len(prompts))
        for expected, found in zip(out.logits[1:], (step[rows] for step in steps), strict=True):
            torch.testing.assert_close(found, expected, atol=TOLERANCE, rtol=0, msg=name)
        assert [row.tolist() for row in answers[place]] == out.sequences[:, -STEPS:].tolist(), name


@torch.no_grad()
@pytest.mark.parametrize(("family", "attn", "batch", "names"), matrix())
def test_cells_that_decode_together_answer_as_their_single_runs(
    family: str, attn: str, batch: str, names: tuple[str, ...]
) -> None:
    loaded, prompts = tiny_model(family, attn, DEPTH), BATCHES[batch]
    assert_joint(loaded, single_runs(loaded, names, prompts), prompts)


@torch.no_grad()
def test_films_that_are_numbered_as_the_model_was_trained() -> None:
    loaded = tiny_model("qwen2_5_vl", "sdpa", DEPTH)
    positions = loaded.number(loaded.family.encode(loaded.processor, list(FILMS)))["position_ids"]
    alone = {name: answer(loaded, SWEEP[name], FILMS, position_ids=positions) for name in ("none", "pdrop", "aim")}
    assert_joint(loaded, alone, FILMS, numbered=True)


@torch.no_grad()
@pytest.mark.parametrize("llm", ["mistral", "qwen2", "gemma3_text"])
def test_layers_with_sliding_windows(llm: str) -> None:
    loaded, prompts = windowed(llm, "sdpa", window=100), (video_prompt(), image_prompt())
    alone = {
        name: answer(loaded, SWEEP[name], prompts) for name in ("none", "random-layer", "random-keep", "random-compact")
    }
    lengths = {out.past_key_values.layers[-1].keys.shape[2] for out, _ in alone.values()}
    assert len(lengths) > 1 and max(lengths) == 99  # some layers hold less than their window
    assert_joint(loaded, alone, prompts)


def ended(row: Tensor, ends: Sequence[int]) -> list[int]:
    """An answer up to the token that ends it."""
    told: list[int] = row.tolist()
    return told[: next((place for place, token in enumerate(told, start=1) if token in ends), len(told))]


@torch.no_grad()
@pytest.mark.parametrize(
    ("family", "more", "options"),
    [
        ("llava", "random-compact", {}),
        ("qwen2_vl", "random-keep", {"min_new_tokens": 4, "repetition_penalty": 1.3, "begin_suppress_tokens": [3]}),
    ],
)
def test_what_has_ended_leaves_the_batch(
    family: str, more: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded, prompts = tiny_model(family, "sdpa", DEPTH), BATCHES["padded"]
    asked = {"max_new_tokens": 12, "min_new_tokens": 0} | options
    names = ("none", "fastv", "pdrop", more)
    endless = [answer(loaded, SWEEP[name], prompts, **asked)[0].sequences[:, -12:] for name in names]
    ends = sorted({int(row[5 + place]) for place, row in enumerate(endless[0])})
    monkeypatch.setattr(loaded.model.generation_config, "eos_token_id", ends)
    alone = [answer(loaded, SWEEP[name], prompts, **asked)[0] for name in names]
    start = alone[0].sequences.shape[1] - len(alone[0].logits)
    expected = [[ended(row[start:], ends) for row in out.sequences] for out in alone]
    answers, steps = forwards(loaded, begun(loaded, [SWEEP[name] for name in names], prompts, **asked), **asked)
    assert [[row.tolist() for row in rows] for rows in answers] == expected
    sizes = [len(step) for step in steps]
    assert len({len(row) for rows in expected for row in rows}) > 1
    assert sizes == sorted(sizes, reverse=True) and len(set(sizes)) > 1


@torch.no_grad()
@pytest.mark.parametrize("asked", [{"num_beams": 2}, {"do_sample": True}, {"stop_strings": ["a"]}])
def test_options_that_rows_cannot_hold_together_are_refused(asked: dict[str, Any]) -> None:
    loaded = tiny_model("llava", "sdpa", DEPTH)
    with pytest.raises(UnsupportedError, match=rf"^{next(iter(asked))}=.* cannot be held .*$"):
        begun(loaded, [NoReduction(), FastV()], BATCHES["image"], **asked)
    with pytest.raises(UnsupportedError, match="cannot be held"):
        finish(loaded.model, [], FIXED | asked)
