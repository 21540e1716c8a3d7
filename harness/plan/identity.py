"""The identity of a run: a hash of everything that can change an answer, and of nothing that cannot."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from winnow.harness.common.folders import locate
from winnow.harness.common.sources import digest, fingerprint, hash_files, module_file, modules_below
from winnow.harness.config.cell import Cell, Method
from winnow.harness.config.schema import DownsampleConfig, TasksConfig
from winnow.harness.data.decoders import DEFAULT, chosen
from winnow.harness.data.hub import commit
from winnow.harness.data.places import data_of
from winnow.harness.tasks.catalogue import BENCHMARKS, folder_of

LIBRARIES = ("torch", "transformers", "lmms-eval", "av", "decord")
MINE = ("media", "pictures", "decoders", "framecache", "document", "documents")
ANSWERING = (
    *(f"winnow.harness.data.{name}" for name in MINE),
    *modules_below("winnow.harness.data.video"),
    "winnow.harness.run.generate",
)
"""The harness' own modules that have a say in an answer: frames, prompts, decoding."""
LOADING = (
    "winnow.models.loading.load",
    "winnow.models.loading.pretrained",
    "winnow.models.loading.random_weights",
    "winnow.models.loading.options",
)

STATE = ("code", "versions", "files", "commit", "data", "solver")


@dataclass(frozen=True)
class Identity:
    """What names a run.

    Attributes
    ----------
    run : str
        The run's id.
    context : str
        Hash of everything but the method: runs with equal contexts answered the same documents with the same model.
    settings : str
        Hash of what was asked for, without code, versions and data: older runs of the same settings are outdated.
    inputs : dict
        What was hashed, for the record.
    """

    run: str
    context: str
    settings: str
    inputs: dict[str, Any]


def identify(cell: Cell) -> Identity:
    """Name the run of a cell, without torch."""
    return identify_all([cell])[0]


def identify_all(cells: Sequence[Cell]) -> list[Identity]:
    """Name the runs of cells; the files that they share are read once."""
    contexts: dict[str, dict[str, Any]] = {}
    found = []
    for cell in cells:
        shared = repr((cell.model, cell.tasks, cell.limit, cell.batch_size, cell.media.accept_damaged))
        if shared not in contexts:
            contexts[shared] = _context(cell)
        found.append(_identity(cell, contexts[shared]))
    return found


def _identity(cell: Cell, context: dict[str, Any]) -> Identity:
    inputs = {"context": context, "method": method_inputs(cell.method) | _more(cell)}
    return Identity(short(inputs), short(context), short(without(inputs, STATE)), inputs)


def short(value: dict[str, Any]) -> str:
    """Name a mapping by a hash in which the order of keys does not matter."""
    return digest(_ordered(value))[:12]


def without(value: Any, names: tuple[str, ...]) -> Any:
    """Leave out the keys `names` at every depth."""
    if isinstance(value, dict):
        return {key: without(item, names) for key, item in value.items() if key not in names}
    return value


def _ordered(value: Any) -> Any:
    """Sort mappings, so that the order of keys does not matter."""
    if isinstance(value, dict):
        return tuple((key, _ordered(value[key])) for key in sorted(value))
    return tuple(map(_ordered, value)) if isinstance(value, list | tuple) else value


def _context(cell: Cell) -> dict[str, Any]:
    """What cells of one model, tasks, limit and batch size share."""
    model = cell.model
    context: dict[str, Any] = {
        "model": _weights(cell)
        | {"family": model.family, "dtype": model.dtype, "attn": model.attn, "frames": model.frames}
        | ({"max_pixels": model.max_pixels} if model.max_pixels else {})
        | ({"pixels": model.pixels} if model.pixels > 1 else {})
        | ({"quant": model.quant} if model.quant else {})
        | ({"trust_remote_code": model.trust_remote_code} if model.trust_remote_code else {}),
        "tasks": _tasks(cell),
        "versions": {name: importlib.metadata.version(name) for name in LIBRARIES},
        "code": {
            "engine": fingerprint([*modules_below("winnow.models.engine"), *LOADING], follow=()),
            "family": fingerprint([f"winnow.models.families.{model.family}"], follow=("winnow.models",)),
            "answering": fingerprint(ANSWERING, follow=()),
        },
    }
    if chosen() != DEFAULT:
        context["decoder"] = chosen()
    if cell.media.accept_damaged:
        context["accept_damaged"] = True
    if model.dtype != "float32":
        context["batch_size"] = cell.batch_size  # below float32 padding can flip a token
    return context


def _weights(cell: Cell) -> dict[str, Any]:
    """Which weights: of random ones the numbers, of a folder the content, of a hub's the name and commit."""
    model = cell.model
    if model.weights == "random":
        return {"weights": "random", "scale": model.scale, "arch": model.arch}
    source = model.repo if model.weights == "pretrained" else model.weights
    folder = locate(source)
    if folder is None:
        return {"repo": source, "revision": model.revision, "commit": commit(source, model.revision)}
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix not in {".md", ".txt"}]
    return {"files": hash_files(files, folder)}


def _tasks(cell: Cell) -> dict[str, Any]:
    tasks = cell.tasks
    modules = [tasks.prepare.partition(":")[0]] if tasks.prepare else []
    found: dict[str, Any] = {
        "names": list(tasks.tasks),
        "metric": tasks.metric,
        "limit": cell.limit,
        "max_new_tokens": tasks.max_new_tokens,
        "generation": tasks.generation,
        "files": _task_files(tasks),
        "data": fingerprint(modules) if modules else None,
    }
    if tasks.prompt:
        found["prompt"] = tasks.prompt
    if tasks.folder is None:
        known = [BENCHMARKS[name] for name in tasks.tasks if name in BENCHMARKS]
        found["data"] = data_of(tasks.data).describe(known)
    return found


def _task_files(tasks: TasksConfig) -> Any:
    """The content of the files that say what is asked, or where they should be."""
    if tasks.folder is not None:
        folders = [locate(tasks.folder)]
    else:
        folders = [folder_of(BENCHMARKS[name]) for name in tasks.tasks if name in BENCHMARKS]
    found = [folder for folder in dict.fromkeys(folders) if folder is not None]
    if not found:
        return tasks.folder
    hashes = [
        hash_files([path for path in folder.rglob("*") if path.suffix in {".py", ".yaml", ".json"}], folder)
        for folder in found
    ]
    return hashes[0] if len(hashes) == 1 else hashes


def method_inputs(method: Method) -> dict[str, Any]:
    """What of a method can change what it does, with the code of its module."""
    module = method.target.partition(":")[0]
    packages = {"winnow.reducers", module.partition(".")[0]} - {"winnow"}
    inputs: dict[str, Any] = {
        "target": method.target,
        "args": method.args,
        "schedule": method.schedule,
        "ratio": method.ratio,
        "code": fingerprint([module], follow=packages) if module_file(module) else None,
    }
    if method.parts:
        inputs["parts"] = [method_inputs(part) for part in method.parts]
    return inputs


def _more(cell: Cell) -> dict[str, Any]:
    """The seed, if it matters, and downsampling and the budget, if there are any."""
    inputs: dict[str, Any] = {"seed": cell.seed} if cell.method.seeded else {}
    if cell.downsample != DownsampleConfig():
        inputs["downsample"] = vars(cell.downsample)
    if cell.has_budget:
        budget, nominal = cell.budget, cell.model.nominal
        inputs["budget"] = {"mean": budget.mean, "flops": budget.flops, "tol": budget.tol, "nominal": vars(nominal)}
        inputs["solver"] = fingerprint(
            ["winnow.harness.plan.budget", "winnow.harness.plan.nominal"], follow=("winnow.harness",)
        )
    return inputs
