"""The planted frauds and the oracle on a few pictures, straight through the model: what guards every change."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from audited import of_rows
from frauds import NoOp, OneAnswer, Stateful
from PIL import Image

import winnow
from winnow.harness.audit.card import adjusted
from winnow.harness.audit.runs import Ran
from winnow.harness.audit.sections import budget, gate, loyalty, nothing
from winnow.harness.data.document import Document
from winnow.harness.run.generate import Batch, answer, encode
from winnow.models.families.prompt import Prompt
from winnow.models.loading.load import Loaded, load
from winnow.models.loading.spec import ModelSpec
from winnow.models.pico.items import draw_item
from winnow.models.pico.questions import relevance
from winnow.reducers.core.base import Reducer
from winnow.reducers.none import NoReduction
from winnow.reducers.oracle import Oracle
from winnow.reducers.random import RandomDrop

N, KINDS, EXIST = 24, 4, 3
"""Questions, and every how many of them asks whether something is there: yes and no in turn."""


@pytest.fixture(scope="module")
def pico() -> tuple[Loaded, Batch, list[str]]:
    """The embedded model, some pictures with questions, and the right answers."""
    weights = str(Path(winnow.__file__).parent / "models/pico/weights")
    loaded = load(ModelSpec("llava", weights, device="cpu", dtype="float32"))
    documents, prompts, right = [], [], []
    for place in range(N):
        rng, shot, question = draw_item("image", "dev", KINDS * place + EXIST)
        frames, coverage = shot.render(rng)
        seen = [float(pixels) for pixels in relevance(coverage, question.targets)]
        documents.append(Document("t", place, question.text, list, {"max_new_tokens": 2}, (), seen, "d"))
        prompts.append(Prompt(question.text, images=[Image.fromarray(frames[0])]))
        right.append(question.answer)
    with torch.inference_mode():
        return loaded, encode(loaded, documents, prompts), right


def ran(pico: tuple[Loaded, Batch, list[str]], method: Reducer, turned: bool = False) -> Ran:
    """The run of a method, with the documents in their order or the other way round."""
    loaded, batch, right = pico
    if turned:
        inputs: Any = type(batch.inputs)({name: value.flip(0) for name, value in batch.inputs.items()})
        batch = replace(batch, documents=batch.documents[::-1], inputs=inputs)
    return of_rows(sorted(answer(loaded, method, batch, seed=0), key=lambda row: row.doc_id), right)


def judged(section: Any, **runs: Ran) -> tuple[str, str]:
    state, says = section.CHECK.judge(adjusted({"": section.CHECK.measure(runs)})[""].lines)
    return state, says


def test_each_fraud_is_caught(pico: tuple[Loaded, Batch, list[str]]) -> None:
    base = ran(pico, NoReduction())
    assert judged(gate, method=ran(pico, NoOp()), unreduced=base) == (
        "finding",
        "it takes no visual token away: a no-op",
    )
    state, says = judged(gate, method=ran(pico, OneAnswer(ratio=0.5)), unreduced=base)
    assert state == "finding" and "too often" in says
    state, says = judged(budget, method=ran(pico, Stateful(ratio=0.5)), reordered=ran(pico, Stateful(ratio=0.5), True))
    assert state == "finding" and "in another order" in says
    honest = RandomDrop(ratio=0.5)
    assert judged(budget, method=ran(pico, honest), reordered=ran(pico, honest, turned=True))[0] == "sound"


def test_the_oracle_passes_and_the_anti_oracle_does_not(pico: tuple[Loaded, Batch, list[str]]) -> None:
    base, random = ran(pico, NoReduction()), ran(pico, RandomDrop(ratio=0.1))
    for select, state in (("highest", "sound"), ("lowest", "finding")):
        method = ran(pico, Oracle(ratio=0.1, select=select))  # type: ignore[arg-type]
        assert judged(nothing, method=method, random=random)[0] == state
        assert judged(loyalty, method=method, unreduced=base, random=random)[0] == state
