"""The identity of a run in three layers: what decides answers names it; what decides score and report does not.

A run is named by all that can change an answer and by nothing that cannot. Answers that are there are scored and
reported anew when only the code or the labels of these have changed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from winnow.harness.common.folders import locate
from winnow.harness.common.sources import content_files, digest
from winnow.harness.config.cell import Cell, Method
from winnow.harness.config.schema import DownsampleConfig
from winnow.harness.data.hub import commit
from winnow.harness.data.inventory import Inventory, inventory
from winnow.harness.plan import code

SWITCHES = ("NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE")
"""Variables that change how a GPU multiplies."""
NUMBER = re.compile(r"\d+(e\d+)?")
STATE = ("code", "folder", "solver")
"""What of a method's inputs is code."""


@dataclass(frozen=True)
class Identity:
    """What names a run.

    Attributes
    ----------
    run : str
        The run's id: a hash of all that decides its answers.
    context : str
        The same without the method: runs with equal contexts answered the same documents with the same model.
    line : str
        The same without the documents: an answer to an equal document holds in every run of the line.
    settings : str
        Hash of what was asked for, without code, versions and data: older runs of the same settings are outdated.
    score, report : str
        Hashes of what decides the scores, and of what decides costs and intervals, once there are answers.
    inputs : dict
        What was hashed, for the record.
    """

    run: str
    context: str
    line: str
    settings: str
    score: str
    report: str
    inputs: dict[str, Any]

    @property
    def known(self) -> bool:
        """Whether the documents were there to be looked at."""
        return self.inputs["answers"]["documents"] is not None


def identify(cell: Cell, fetch: bool = False) -> Identity:
    """Name the run of a cell, without torch."""
    return identify_all([cell], fetch)[0]


def identify_all(cells: Sequence[Cell], fetch: bool = False) -> list[Identity]:
    """Name the runs of cells; what they share is read once.

    Parameters
    ----------
    cells : sequence of Cell
    fetch : bool
        Let documents come from the hub; otherwise runs whose documents are not here are named by their tasks.
    """
    code.forget()
    stock: dict[str, Inventory | None] = {}
    models: dict[str, dict[str, Any]] = {}
    scores: dict[str, dict[str, Any]] = {}
    found = []
    for cell in cells:
        tasks, model = repr((cell.tasks, cell.limit)), repr(cell.model)
        if tasks not in stock:
            stock[tasks] = inventory(cell.tasks, cell.limit, fetch)
            scores[tasks] = _score(cell, stock[tasks])
        if model not in models:
            models[model] = _model(cell)
        found.append(_identity(cell, models[model], stock[tasks], scores[tasks]))
    return found


def settings_of(cell: Cell) -> str:
    """Hash what a cell asks for; looks at no data."""
    return short(_asked(cell))


def line_of(cell: Cell) -> str:
    """Hash all of a cell that decides answers but the documents; looks at no data."""
    code.forget()
    return _identity(cell, _model(cell), None, _score(cell, None)).line


def _identity(cell: Cell, model: dict[str, Any], documents: Inventory | None, score: dict[str, Any]) -> Identity:
    answers: dict[str, Any] = {
        "model": model,
        "documents": {name: digest(prints) for name, prints in documents.prints.items()} if documents else None,
        "code": code.answering(cell.model.family),
        "versions": code.libraries(cell, documents is None or documents.videos),
        "method": method_inputs(cell.method) | _more(cell),
    }
    if documents is None:
        answers["tasks"] = _tasks(cell)
    if cell.media.accept_damaged and (documents is None or documents.videos):
        answers["accept_damaged"] = True
    if cell.model.dtype != "float32":
        answers["batch_size"] = cell.batch_size  # below float32 padding can flip a token
    answers |= _together(cell)
    report = _report(cell)
    inputs = {"asked": _asked(cell), "answers": answers, "score": score, "report": report}
    context, line = without(answers, ("method",)), without(answers, ("documents", "tasks"))
    run, around, along = short(answers), short(context), short(line)
    return Identity(run, around, along, short(inputs["asked"]), short(score), short(report), inputs)


def short(value: dict[str, Any]) -> str:
    """Name a mapping by a hash in which the order of keys does not matter; never by what Hydra reads as a number."""
    name = digest(_ordered(value))[:12]
    while NUMBER.fullmatch(name):
        name = digest(name)[:12]
    return name


def without(value: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Leave out some keys of a mapping."""
    return {key: item for key, item in value.items() if key not in names}


def _ordered(value: Any) -> Any:
    """Sort mappings, so that the order of keys does not matter."""
    if isinstance(value, dict):
        return tuple((key, _ordered(value[key])) for key in sorted(value))
    return tuple(map(_ordered, value)) if isinstance(value, list | tuple) else value


def _asked(cell: Cell) -> dict[str, Any]:
    """What was asked for."""
    model = cell.model
    return {
        "model": _named(cell) | _settings(cell) | ({"device": model.device} if model.device != "auto" else {}),
        "tasks": _tasks(cell),
        "method": _method(cell.method) | _extent(cell),
        **({"batch_size": cell.batch_size} if model.dtype != "float32" else {}),
        **({"accept_damaged": True} if cell.media.accept_damaged else {}),
        **_together(cell),
    }


def _together(cell: Cell) -> dict[str, Any]:
    """What of sharing can flip a token: rows in a batch of several cells round differently."""
    return {"share": "all"} if cell.share.name == "all" else {}


def _settings(cell: Cell) -> dict[str, Any]:
    model = cell.model
    given = {"max_pixels": model.max_pixels, "quant": model.quant, "trust_remote_code": model.trust_remote_code}
    given["positions"] = model.positions
    given["pixels"] = model.pixels if model.pixels > 1 else None
    common = {"family": model.family, "dtype": model.dtype, "attn": model.attn, "frames": model.frames}
    return common | {name: value for name, value in given.items() if value}


def _named(cell: Cell) -> dict[str, Any]:
    """Which weights were asked for: of random ones the numbers, of a hub's the name; a folder may lie anywhere."""
    model = cell.model
    if model.weights == "random":
        return {"weights": "random", "scale": model.scale, "arch": model.arch}
    source = _source(cell)
    return {} if locate(source) else {"repo": source, "revision": model.revision}


def _source(cell: Cell) -> str:
    return cell.model.repo if cell.model.weights == "pretrained" else cell.model.weights


def _model(cell: Cell) -> dict[str, Any]:
    """The model: its settings, and its weights by content or by the commit that they are of."""
    model, found = cell.model, _named(cell) | _settings(cell)
    if model.weights != "random":
        folder = locate(_source(cell))
        state = commit(_source(cell), model.revision) if folder is None else None
        found |= {"files": content_files(folder)} if folder else {"commit": state}
        found = without(found, ("revision",)) if state else found
    if model.device != "auto":
        found["device"] = "cpu" if model.device == "cpu" else "gpu"
    if model.device != "cpu":
        found |= {name: os.environ[name] for name in SWITCHES if os.environ.get(name)}
    return found


def _tasks(cell: Cell) -> dict[str, Any]:
    """What was asked of the tasks; which documents follow from it, their content tells."""
    tasks = cell.tasks
    return {
        "names": list(tasks.tasks),
        "metric": tasks.metric,
        "limit": cell.limit,
        "max_new_tokens": tasks.max_new_tokens,
        "generation": tasks.generation,
    } | ({"prompt": tasks.prompt} if tasks.prompt else {})


def _score(cell: Cell, documents: Inventory | None) -> dict[str, Any]:
    """What decides the scores of given answers: labels, reader, metric, and the tasks' own code."""
    tasks = cell.tasks
    folder = locate(tasks.folder) if tasks.folder else None
    return {
        "labels": documents.labels if documents else None,
        "metric": tasks.metric,
        "failed_above": tasks.failed_above,
        "files": content_files(folder) if folder else None,
        "code": code.scoring(),
        "versions": {name: code.installed(name) for name in code.SCORERS},
    }


def _report(cell: Cell) -> dict[str, Any]:
    """What decides costs and intervals."""
    model = cell.model
    arch = {"arch": model.arch, "mlp_add": model.mlp_add, "nominal": vars(model.nominal)}
    return arch | {"code": code.reporting(), "budget": vars(cell.budget)}


def _method(method: Method) -> dict[str, Any]:
    asked = {"target": method.target, "args": method.args, "schedule": method.schedule, "ratio": method.ratio}
    return asked | ({"parts": [_method(part) for part in method.parts]} if method.parts else {})


def method_inputs(method: Method) -> dict[str, Any]:
    """What of a method can change what it does, with the code of its module."""
    found = _method(method) | code.of_method(method)
    if method.checkpoints:
        found["args"] = method.args | {name: _weights(method.args.get(name)) for name in method.checkpoints}
    return found | ({"parts": [method_inputs(part) for part in method.parts]} if method.parts else {})


def _weights(source: str | None) -> str | dict[str, str | None] | None:
    """Weights beside the model's: a folder by its content, a repository by the commit that it stands on."""
    if source is None or source == "random":
        return source
    folder = locate(source)
    return {"files": content_files(folder)} if folder else {"repo": source, "commit": commit(source, None)}


def _extent(cell: Cell) -> dict[str, Any]:
    """The seed, if it matters, and the model's own pruning, downsampling, stress and the budget, if there are any."""
    found: dict[str, Any] = {"seed": cell.seed} if cell.method.seeded else {}
    if cell.model.own_pruning:
        found["own_pruning"] = True
    if cell.downsample != DownsampleConfig():
        found["downsample"] = vars(cell.downsample)
    if cell.stress.words:
        found["stress"] = cell.stress.words
    if cell.has_budget:
        budget, nominal = cell.budget, cell.model.nominal
        count = {} if budget.tokens is None else {"tokens": budget.tokens, "scope": budget.scope}
        asked = {"mean": budget.mean, "flops": budget.flops, "tol": budget.tol} | count
        found["budget"] = asked | {"nominal": vars(nominal)}
    return found


def _more(cell: Cell) -> dict[str, Any]:
    """The same with the code that solves a budget."""
    return _extent(cell) | ({"solver": code.solving()} if cell.has_budget else {})
