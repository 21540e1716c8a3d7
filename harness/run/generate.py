"""One batch of prompts through the model under one method."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from transformers import BatchFeature, LogitsProcessor

from winnow.harness.data.document import Document
from winnow.harness.run.confidence import DIGITS, Confidence, Later, beginnings, endings
from winnow.harness.run.entered import Entered, entering, look_at
from winnow.harness.run.fate import pack
from winnow.harness.run.record import Row
from winnow.harness.run.turns import ask_again
from winnow.models.engine import PromptTrace, Trace, Trunk, attach
from winnow.models.engine.joint import begin, finish
from winnow.models.families.prompt import Prompt
from winnow.models.loading.load import Loaded
from winnow.reducers.core.base import Reducer


@dataclass(frozen=True, eq=False)
class Batch:
    """Documents with their encoded prompts, ready for any number of methods."""

    documents: list[Document]
    inputs: BatchFeature
    then: Sequence[str] = ()
    """Questions to ask behind the answers, in the same conversations; then the batch is one document."""

    def on(self, device: torch.device) -> Batch:
        """The same batch on a device; copies from pinned memory do not wait for what the device is at."""
        moved = {name: _moved(value, device) for name, value in self.inputs.items()}
        return Batch(self.documents, BatchFeature(moved), self.then)


def _moved(value: Any, device: torch.device) -> Any:
    return value.to(device, non_blocking=True) if isinstance(value, torch.Tensor) else value


def encode(loaded: Loaded, documents: Sequence[Document], prompts: Sequence[Prompt]) -> Batch:
    """Encode the prompts of some documents once, on the model's device."""
    model: Any = loaded.model
    return prepare(loaded, documents, prompts).on(model.device)


def prepare(loaded: Loaded, documents: Sequence[Document], prompts: Sequence[Prompt]) -> Batch:
    """Encode prompts in the memory of the host, pinned where a GPU will fetch them; any thread may."""
    model: Any = loaded.model
    inputs = loaded.encode(prompts)
    for name in inputs:
        if name.startswith("pixel_values"):  # seconds between frames stay exact
            inputs[name] = inputs[name].to(model.dtype)
        if model.device.type == "cuda" and isinstance(inputs[name], torch.Tensor):
            inputs[name] = inputs[name].pin_memory()
    return Batch(list(documents), inputs, [prompt.then for prompt in prompts if prompt.then])


def answer(loaded: Loaded, reducer: Reducer, batch: Batch, seed: int, trunk: Trunk | None = None) -> list[Row]:
    """Answer a batch greedily under one method.

    Parameters
    ----------
    loaded : Loaded
    reducer : Reducer
    batch : Batch
    seed : int
        Of methods that draw at random; each document draws by its own name.
    trunk : Trunk or None
        What it shares with other methods that answer the same batch.
    """
    documents = batch.documents
    started = time.perf_counter()
    sure = Confidence(_options(loaded, documents))
    kept = [] if documents[0].generation.get("num_beams", 1) > 1 else [sure]
    with entering(loaded) as embeds, _attached(loaded, reducer, batch, seed, trunk) as trace:
        new = _generate(loaded, batch, kept)
    seconds, texts = time.perf_counter() - started, loaded.processor.batch_decode(new, skip_special_tokens=True)
    paths = trace.turns[0] if batch.then else trace.prompts  # a second question brings no pictures
    beams = len(paths) // len(documents)  # all of a document's keep the same tokens
    rows = _rows(documents, texts, paths[::beams], look_at(embeds[0][::beams], paths[::beams]), seconds)
    ends = _endings(loaded, batch, new)
    return [*map(_with_confidence, rows, ends, *_confidence(sure, ends))] if kept else rows


def _generate(loaded: Loaded, batch: Batch, kept: Sequence[LogitsProcessor]) -> torch.Tensor:
    """Ids of the answers; to the second questions where there are any."""
    model: Any = loaded.model
    if batch.then:
        (text,) = batch.then
        return ask_again(loaded, batch.inputs, text, batch.documents[0].generation, kept)
    output: torch.Tensor = model.generate(
        **batch.inputs, **batch.documents[0].generation, do_sample=False, logits_processor=[*kept]
    )
    return output[:, batch.inputs["input_ids"].shape[1] :]


def answer_jointly(
    loaded: Loaded, methods: Sequence[tuple[Reducer, int]], batch: Batch, trunk: Trunk, pause: Callable[[], object]
) -> list[list[Row]]:
    """Answer a batch under several methods: each prefills by itself, then all decode together.

    Parameters
    ----------
    loaded, batch, trunk
        As of `answer`.
    methods : sequence of (Reducer, int)
        In the order in which they take their turns, each with its seed.
    pause : callable
        Called before each turn; may raise.
    """
    generation, begun, told = batch.documents[0].generation, [], []
    for method, seed in methods:
        pause()
        started, sure = time.perf_counter(), Confidence(_options(loaded, batch.documents))
        with entering(loaded) as embeds, _attached(loaded, method, batch, seed, trunk) as trace:
            begun.append(begin(loaded.model, batch.inputs, generation, [sure]))
        told.append((trace.prompts, look_at(embeds[0], trace.prompts), time.perf_counter() - started, sure))
    started, later = time.perf_counter(), Later()
    with torch.inference_mode():
        answers = finish(loaded.model, begun, generation, later)
    part, found = (time.perf_counter() - started) / len(methods), list[list[Row]]()
    for new, (paths, entered, seconds, sure) in zip(answers, told, strict=True):
        texts = loaded.processor.batch_decode(new, skip_special_tokens=True)
        ends = [end for row in new for end in _endings(loaded, batch, row[None])]
        first = len(found) * len(new)
        firsts, options = _confidence(sure, [(1, False)] * len(new))
        rest = [later.of(first + place, length - 1) for place, (length, _) in enumerate(ends)]
        rows = _rows(batch.documents, texts, paths, entered, seconds + part)
        whole = [round(one + more, DIGITS) for one, more in zip(firsts, rest, strict=True)]
        found.append([*map(_with_confidence, rows, ends, whole, options)])
    return found


@contextmanager
def _attached(loaded: Loaded, reducer: Reducer, batch: Batch, seed: int, trunk: Trunk | None) -> Iterator[Trace]:
    keys = [f"{seed}/{document.task}/{document.doc_id}" for document in batch.documents]
    known = [document.relevance for document in batch.documents]
    relevance = [None if one is None else torch.tensor(one, dtype=torch.float32) for one in known]
    texts = [document.text for document in batch.documents]
    with torch.inference_mode(), attach(loaded.model, reducer, keys, relevance, trunk, texts) as trace:
        yield trace


def _rows(
    documents: Sequence[Document],
    texts: Sequence[str],
    paths: Sequence[PromptTrace],
    entered: Sequence[Entered],
    seconds: float,
) -> list[Row]:
    answered, each = zip(documents, texts, paths, entered, strict=True), seconds / len(documents)
    return [_row(document, text, path, seen, len(documents), each) for document, text, path, seen in answered]


def _endings(loaded: Loaded, batch: Batch, new: torch.Tensor) -> list[tuple[int, bool]]:
    model: Any = loaded.model
    return endings(new, model.generation_config.eos_token_id, batch.documents[0].generation["max_new_tokens"])


def _options(loaded: Loaded, documents: Sequence[Document]) -> list[list[torch.Tensor]]:
    tokenizer = loaded.processor.tokenizer
    known = {option: beginnings(tokenizer, option) for document in documents for option in document.options}
    return [[known[option] for option in document.options] for document in documents]


def _confidence(sure: Confidence, ends: Sequence[tuple[int, bool]]) -> tuple[list[float], list[list[float]]]:
    return sure.of_answers([length for length, _ in ends]), sure.of_options()


def _with_confidence(row: Row, end: tuple[int, bool], logprob: float, options: list[float]) -> Row:
    return replace(row, generated=end[0], cut=end[1], logprob=logprob, options=options)


def _row(document: Document, text: str, path: PromptTrace, seen: Entered, batch: int, seconds: float) -> Row:
    return Row(
        document.task,
        document.doc_id,
        document.fingerprint,
        cut(text.strip(), document.until).strip(),
        length=path.layout.length,
        visual=path.visual,
        tokens_per_layer=path.tokens_per_layer,
        visual_per_layer=path.visual_per_layer,
        fate=pack(path.last_layer.cpu().numpy(), path.anchor.cpu().numpy()),
        grids=[[span.frames, span.rows, span.cols] for span in path.layout.spans],
        batch=batch,
        seconds=round(seconds, 6),
        sinks=seen.sinks,
        rank=seen.rank,
    )


def cut(text: str, until: Sequence[str]) -> str:
    """Cut an answer before the first stop string."""
    ends = [place for stop in until if stop and (place := text.find(stop)) >= 0]
    return text[: min(ends, default=len(text))]
