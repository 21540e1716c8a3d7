"""Beam search and sampling under reduction say what the oracle says of the same answers."""

from typing import Any

import pytest
import torch
import transformers
from torch import Tensor

from winnow.models.check.cases import image_prompt, mixed_prompt, tiny_model, video_prompt
from winnow.models.check.oracle import oracle_logits
from winnow.models.check.replay import replay_logits
from winnow.models.engine import attach
from winnow.models.engine.trace import PromptTrace
from winnow.reducers.aim import AIM
from winnow.reducers.core.base import Reducer
from winnow.reducers.core.schedule import Cuts, Window
from winnow.reducers.fastv import FastV
from winnow.reducers.pdrop import PDrop
from winnow.reducers.random import RandomDrop

METHODS: dict[str, Reducer] = {
    "entrance": RandomDrop(ratio=0.3),
    "layer": FastV(ratio=0.3),
    "stages": PDrop(ratios=(0.6, 0.2), positions="keep", schedule=Cuts((2, 4))),
    "merges": AIM(ratio=0.5, positions="keep", schedule=Window(1, 3)),
}
MANY = [video_prompt(), mixed_prompt(), image_prompt()]
SEVERAL = [video_prompt(), image_prompt()] if transformers.__version__.startswith("5.18.") else MANY
PROMPTS = {
    "llava": [image_prompt(), image_prompt("red ?")],
    "llava_onevision": [video_prompt(), video_prompt(text="count .")],
    "qwen2_5_vl": SEVERAL,
    "qwen3_vl": SEVERAL,
}
"""Padded batches; transformers 5.17 expands several pictures of one prompt for beams on the Qwen families alone, and
5.18 on none: there the unreduced model's own answers to such prompts are wrong when several sequences are asked for."""
STEPS, WARMTH = 4, 0.7


def decode(family: str, reducer: Reducer, **options: Any) -> tuple[Any, list[PromptTrace]]:
    """Answers to a padded batch, and the trace of each sequence."""
    loaded = tiny_model(family, "sdpa")
    inputs = loaded.family.encode(loaded.processor, PROMPTS[family])
    fixed = {"max_new_tokens": STEPS, "min_new_tokens": STEPS, "pad_token_id": 0, "return_dict_in_generate": True}
    torch.manual_seed(3)
    with torch.no_grad(), attach(loaded.model, reducer, keys=list("abc"[: len(PROMPTS[family])])) as trace:
        out = loaded.model.generate(**inputs, **fixed, **options, output_scores=True)  # type: ignore[operator]
    return out, trace.prompts


def expected(family: str, prompt: int, answer: Tensor, told: PromptTrace) -> Tensor:
    """What the oracle says before each token of `answer`, in one pass without a cache."""
    loaded = tiny_model(family, "sdpa")
    inputs = loaded.family.encode(loaded.processor, [PROMPTS[family][prompt]])
    merged = any(step.reduction.weights is not None for step in told.steps)
    judge = replay_logits if merged else oracle_logits
    return judge(loaded.model, loaded.family.parts(loaded.model), inputs, answer, told)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("family", PROMPTS)
def test_the_best_beam_has_the_oracles_score(family: str, method: str) -> None:
    out, told = decode(family, METHODS[method], do_sample=False, num_beams=3)
    assert len(told) == 3 * len(PROMPTS[family])
    for prompt in range(len(PROMPTS[family])):
        answer = out.sequences[prompt, -STEPS:]
        logits = expected(family, prompt, answer, told[3 * prompt])
        score = logits.log_softmax(-1).gather(1, answer[:, None]).sum()
        assert abs(float(out.sequences_scores[prompt]) * STEPS - float(score)) < 1e-3


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("family", PROMPTS)
def test_a_sampled_answer_has_the_oracles_logits(family: str, method: str) -> None:
    options = {"do_sample": True, "temperature": WARMTH, "top_k": 0, "top_p": 1.0, "num_return_sequences": 2}
    out, told = decode(family, METHODS[method], **options)
    again, _ = decode(family, METHODS[method], **options)
    assert torch.equal(out.sequences, again.sequences)
    scores = torch.stack(out.scores, 1) * WARMTH
    answers = out.sequences[:, -STEPS:]
    assert len(answers.unique(dim=0)) > len(PROMPTS[family])  # it really samples
    for row, answer in enumerate(answers):
        logits = expected(family, row // 2, answer, told[row])
        possible = scores[row].isfinite()  # the end of the answer is ruled out before the fourth token
        assert (scores[row] - logits)[possible].abs().max() < 2e-4
        assert int((~possible).sum()) <= STEPS
