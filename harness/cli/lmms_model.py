"""Winnow as a model of lmms-eval, for those who live there; the engine is the one behind `run.py`.

    python -m lmms_eval --model winnow --model_args model=pico,reducer=vas,ratio=0.3,schedule=pico --tasks pope

`model_args` are overrides as `run.py` takes them. lmms-eval's response cache tells runs apart by the words of
`model_args`; it knows nothing of edited code, which the runs of `run.py` do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from lmms_eval.api.model import lmms
from lmms_eval.models.registry_v2 import ModelManifest

from winnow.harness.common.errors import first_line, root_cause
from winnow.harness.config.overrides import cell_from
from winnow.harness.data.document import Document, fingerprint, greedy, longest
from winnow.harness.data.media import make_prompt
from winnow.harness.plan.build import build_method
from winnow.harness.plan.identity import line_of
from winnow.harness.run.answer import batches
from winnow.harness.run.generate import answer, encode
from winnow.harness.run.loaded import load_model
from winnow.harness.tasks.catalogue import BENCHMARKS
from winnow.reducers.core.errors import WinnowError


def manifests() -> ModelManifest:
    """What the entry point ``lmms_eval.models`` gives to lmms-eval."""
    return ModelManifest("winnow", simple_class_path="winnow.harness.cli.lmms_model.Winnow")


@dataclass(frozen=True, eq=False)
class Asked(Document):
    """A document that lmms-eval asks for, with its place among the others."""

    place: int = 0


class Winnow(lmms):
    """A model under a method.

    Parameters
    ----------
    batch_size : int or str
    max_batch_size, device : object
        Of lmms-eval's; a device is ``model.device``.
    **overrides : object
        As `run.py` takes them: ``model``, ``reducer``, ``ratio``, ``schedule.k``, …

    Raises
    ------
    WinnowError
        For unknown keys and values.
    """

    def __init__(
        self, batch_size: int | str = 1, max_batch_size: object = None, device: str | None = None, **overrides: object
    ) -> None:
        super().__init__()
        words = [f"{name}={_word(value)}" for name, value in overrides.items()]
        if device and "model.device" not in overrides:
            words.append(f"model.device={device}")
        self.cell = cell_from(words)
        self.built = build_method(self.cell)
        self.batch = int(batch_size) if str(batch_size).isdigit() else 1
        self.loaded = load_model(self.cell.seen)

    def __repr__(self) -> str:
        """Tell every setting and the code apart: lmms-eval's cache takes this for the model's name."""
        return f"winnow.{line_of(self.cell)}"

    def generate_until(self, requests: list[Any]) -> list[str]:
        """Answer, in the order of the requests."""
        asked = [self._asked(place, request) for place, request in enumerate(requests)]
        texts: dict[int, str] = {}
        for batch in batches(asked, self.batch):
            rows = self._answer(batch)
            texts |= {document.place: row for document, row in zip(batch, rows, strict=True)}  # type: ignore[attr-defined]
        return [texts[place] for place in range(len(requests))]

    def _answer(self, batch: Sequence[Document]) -> list[str]:
        prompts = []
        for document in batch:
            try:
                prompts.append(make_prompt(document.text, document.visuals(), self.cell.seen.frames))
            except (Exception, SystemExit) as error:
                raise WinnowError(
                    f"document {document.doc_id} of task '{document.task}': {first_line(root_cause(error))}"
                ) from error
        rows = answer(self.loaded, self.built.reducer, encode(self.loaded, batch, prompts), self.cell.seed)
        return [row.answer for row in rows]

    def _asked(self, place: int, request: Any) -> Asked:
        text, settings, doc_to_visual, doc_id, task, split = request.args
        doc = self.task_dict[task][split][doc_id]
        generation, stops = greedy(task, settings, longest(BENCHMARKS.get(task)))
        show: Callable[[], list[Any]] = lambda: list(doc_to_visual(doc) or ())  # noqa: E731
        name = fingerprint(text, generation, stops)
        return Asked(task, doc_id, text, show, generation, stops, doc.get("relevance"), name, place=place)

    def loglikelihood(self, requests: list[Any]) -> list[tuple[float, bool]]:
        """Refuse: a reduced prompt has one answer, not a likelihood of many."""
        raise WinnowError("tasks scored by loglikelihood cannot be run: choose one that generates its answer")

    def generate_until_multi_round(self, requests: list[Any]) -> list[str]:
        """Refuse: methods decide once, from one question."""
        raise WinnowError("tasks of several rounds cannot be run: choose one that asks once")

    def clean(self) -> None:
        """Keep the model: lmms-eval's own version takes it apart, although it may be asked again."""


def _word(value: object) -> str:
    """Write a value as the command line has it."""
    if value is None or isinstance(value, bool):
        return str(value).lower().replace("none", "null")
    return str(value)
