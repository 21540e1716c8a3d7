"""A list of changes, each with what it must lead to: new answers, a new score, a new report, or nothing."""

import importlib.metadata
import json
import os
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from winnow.harness.common import sources
from winnow.harness.config.cell import Cell, Method
from winnow.harness.config.schema import (
    BudgetConfig,
    DownsampleConfig,
    ModelConfig,
    NominalConfig,
    ShareConfig,
    TasksConfig,
)
from winnow.harness.data import hub
from winnow.harness.data.inventory import _stamp
from winnow.harness.data.needs import cached
from winnow.harness.plan.identity import Identity, identify
from winnow.harness.tasks.catalogue import BENCHMARKS

ROWS = [
    {"question": f"what is {kind}?", "media": f"{kind}.{end}", "answer": word, "source": "a page"}
    for kind, end, word in (("one", "mp4", "red"), ("two", "mp4", "blue"), ("three", "png", "green"))
]
YAML = """
include: _template
task: mini
dataset_path: json
dataset_kwargs:
  data_files:
    test: ROWS
test_split: test
output_type: generate_until
doc_to_visual: !function utils.doc_to_visual
doc_to_text: !function utils.doc_to_text
doc_to_target: answer
process_results: !function utils.process_results
generation_kwargs:
  max_new_tokens: 4
  until: ["."]
  do_sample: false
metric_list:
  - metric: right
    aggregation: mean
    higher_is_better: true
"""
UTILS = '''
from pathlib import Path

MEDIA = Path(__file__).parents[1] / "media"


def doc_to_visual(doc):
    return [str(MEDIA / doc["media"])]


def doc_to_text(doc, lmms_eval_specific_kwargs=None):
    """Ask."""
    return doc["question"] + lmms_eval_specific_kwargs["post_prompt"]


def process_results(doc, results):
    return {"right": float(results[0] == doc["answer"])}
'''
METHOD = """
from dataclasses import dataclass
from MODULE import half
from winnow.reducers.core.base import Scorer


@dataclass(frozen=True)
class Mine(Scorer):
    def score(self, x):
        return half(x)
"""

ANSWERS, SCORE, REPORT, NOTHING = "new answers", "new score", "new report", "nothing"
Act = Callable[["World"], Cell | None]


@dataclass
class World:
    """A tiny benchmark, weights and methods of somebody's own on the disk, and what the process sees."""

    root: Path
    patch: pytest.MonkeyPatch
    cell: Cell

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.root / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def rows(self, change: Callable[[list[dict[str, Any]]], object]) -> None:
        found = [json.loads(line) for line in (self.root / "data/rows.jsonl").read_text().splitlines()]
        change(found)
        write_rows(self.root, found)


def write_rows(root: Path, rows: list[dict[str, Any]]) -> None:
    (root / "data/rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    for folder in ("tasks", "data", "media", "weights", "elsewhere", "own", "loose", "loose/beside", "bare"):
        (tmp_path / folder).mkdir()
    for row in ROWS:
        (tmp_path / "media" / row["media"]).write_bytes(f"pixels of {row['media']}".encode())
    write_rows(tmp_path, ROWS)
    (tmp_path / "tasks/mini.yaml").write_text(YAML.replace("ROWS", str(tmp_path / "data/rows.jsonl")))
    (tmp_path / "tasks/_template").write_text("lmms_eval_specific_kwargs:\n  default:\n    post_prompt: ' Say it.'\n")
    (tmp_path / "tasks/utils.py").write_text(UTILS)
    (tmp_path / "weights/model.safetensors").write_bytes(b"numbers")
    (tmp_path / "weights/merges.txt").write_text("a b\n")
    (tmp_path / "elsewhere/vocab.json").write_text("{}")
    (tmp_path / "weights/tokenizer").symlink_to(tmp_path / "elsewhere")
    half = "def half(x):\n    return x / 2\n"
    for name, text in {
        "own/__init__.py": "", "own/method.py": METHOD.replace("MODULE", ".helper"), "own/helper.py": half,
        "own/table.npy": "1 2 3", "loose/loose_method.py": METHOD.replace("MODULE", "loose_helper"),
        "loose/loose_helper.py": half, "loose/loose_of_package.py": METHOD.replace("MODULE", "beside.helper"),
        "loose/beside/__init__.py": "", "loose/beside/helper.py": half, "loose/beside/unused.py": half,
        "bare/method.py": METHOD.replace("MODULE", ".helper"), "bare/helper.py": half, "bare/table.npy": "1 2 3",
        "own/further.py": METHOD.replace("MODULE", "beside.helper"),
    }.items():  # fmt: skip
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.syspath_prepend(tmp_path / "loose")
    monkeypatch.setenv("WINNOW_CACHE", str(tmp_path / "cache"))
    model = ModelConfig(
        name="m", family="llava", repo=str(tmp_path / "weights"), frames=8, has_cls=True,
        nominal=NominalConfig(8, 25, 20), arch={"layers": 8, "hidden": 128},
    )  # fmt: skip
    tasks = TasksConfig(name="t", tasks=["mini"], folder=str(tmp_path / "tasks"), metric="right")
    method = Method(
        "fastv", "winnow.reducers.fastv:FastV", {"rows": "last", "R": None}, {"kind": "k", "k": 2}, 0.5, True
    )
    return World(tmp_path, monkeypatch, Cell(model, method, tasks, BudgetConfig(), tmp_path / "runs"))


def model(**changes: Any) -> Act:
    return lambda world: replace(world.cell, model=replace(world.cell.model, **changes))


def method(**changes: Any) -> Act:
    return lambda world: replace(world.cell, method=replace(world.cell.method, **changes))


def tasks(**changes: Any) -> Act:
    return lambda world: replace(world.cell, tasks=replace(world.cell.tasks, **changes))


def cell(**changes: Any) -> Act:
    return lambda world: replace(world.cell, **changes)


def edit(name: str, old: str, new: str) -> Act:
    return lambda world: world.edit(name, old, new)


def rows(change: Callable[[list[dict[str, Any]]], object]) -> Act:
    return lambda world: world.rows(change)


def file(name: str, content: bytes = b"something") -> Act:
    def write(world: World) -> None:
        path = world.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    return write


def library(name: str) -> Act:
    def upgrade(world: World) -> None:
        version = importlib.metadata.version
        world.patch.setattr(importlib.metadata, "version", lambda asked: "9" if asked == name else version(asked))

    return upgrade


def code(name: str) -> Act:
    """Edit a file of Winnow's own, as far as its fingerprint can tell."""

    def change(world: World) -> None:
        parse, end = sources._parse, f"winnow/{name}.py"

        def parsed(path: Path, changed: int) -> tuple[str, tuple[str, ...]]:
            found, imports = parse(path, changed)
            return found + ("edited" if str(path).endswith(end) else ""), imports

        assert sources.module_file(f"winnow/{name}".replace("/", ".")) is not None
        world.patch.setattr(sources, "_parse", parsed)

    return change


def variable(name: str, value: str) -> Act:
    return lambda world: world.patch.setenv(name, value)


def same_times(world: World) -> None:
    """Edit a video at equal size, and put its time back."""
    path = world.root / "media/one.mp4"
    stat = path.stat()
    path.write_bytes(b"PIXELS of one.mp4")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def swap(world: World) -> None:
    one, two = world.root / "media/one.mp4", world.root / "media/two.mp4"
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)


def own(target: str) -> Act:
    return method(name="custom", target=target, args={}, schedule=None)


def branch(commit: str, repo: str = "models--o--m") -> Act:
    """The hub's cache holds a branch at this commit."""

    def point(world: World) -> Cell:
        world.patch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(world.root / "hub"))
        file(f"hub/{repo}/refs/main", commit.encode())(world)
        hub.commit.cache_clear()
        return replace(world.cell, model=replace(world.cell.model, repo="o/m", revision="main"))

    return point


def by_commit(world: World) -> Cell:
    return replace(world.cell, model=replace(world.cell.model, revision="a" * 40))


def none(world: World) -> None:
    """Nothing is different from the fixture."""


CASES: dict[str, tuple[str, Act, Act]] = {
    # what the documents are
    "a question": (ANSWERS, none, rows(lambda found: found[0].update(question="which is one?"))),
    "a question at equal size": (ANSWERS, none, rows(lambda found: found[0].update(question="what is One?"))),
    "one more document": (ANSWERS, none, rows(lambda found: found.append(found[0]))),
    "the order of documents": (ANSWERS, none, rows(lambda found: found.reverse())),
    "a prompt in an included template without suffix": (ANSWERS, none, edit("tasks/_template", "Say it", "Tell me")),
    "the prompt's code": (ANSWERS, none, edit("tasks/utils.py", 'doc["question"] +', 'doc["question"].upper() +')),
    "videos swapped under the same names": (ANSWERS, none, swap),
    "a video at equal size and time": (ANSWERS, none, same_times),
    "a picture": (ANSWERS, none, file("media/three.png")),
    "the task's own length of answers": (ANSWERS, none, edit("tasks/mini.yaml", "tokens: 4", "tokens: 5")),
    "a stop string": (ANSWERS, none, edit("tasks/mini.yaml", '["."]', '[","]')),
    "the length of answers": (ANSWERS, edit("tasks/mini.yaml", "  max_new_tokens: 4\n", ""), tasks(max_new_tokens=5)),
    "beams": (ANSWERS, none, tasks(generation={"num_beams": 2})),
    "a smaller limit": (ANSWERS, none, cell(limit=2)),
    # the model
    "weights": (ANSWERS, none, file("weights/model.safetensors")),
    "merges in a text file": (ANSWERS, none, file("weights/merges.txt")),
    "a file in a linked folder of the weights": (ANSWERS, none, file("elsewhere/vocab.json")),
    "family": (ANSWERS, none, model(family="llava_onevision")),
    "number format": (ANSWERS, none, model(dtype="bfloat16")),
    "attention": (ANSWERS, none, model(attn="eager")),
    "frames": (ANSWERS, none, model(frames=16)),
    "kind of device": (ANSWERS, model(device="cpu"), model(device="cuda")),
    "quantisation": (ANSWERS, none, model(quant="bnb-int8")),
    "who numbers prompts": (ANSWERS, model(positions="trained"), model(positions="library")),
    "largest picture": (ANSWERS, none, model(max_pixels=10000)),
    "commit of a hub model": (ANSWERS, model(repo="o/m", revision="a" * 40), model(repo="o/m", revision="b" * 40)),
    "a branch of a hub model that moved": (ANSWERS, branch("a" * 40), branch("b" * 40)),
    "decoding together": (ANSWERS, none, cell(share=ShareConfig("all"))),
    "batch size below float32": (ANSWERS, model(dtype="float16"), lambda world: replace(world.cell, batch_size=1)),
    # the method
    "an argument": (ANSWERS, none, method(args={"rows": "all", "R": None})),
    "the schedule": (ANSWERS, none, method(schedule={"kind": "k", "k": 3})),
    "the ratio": (ANSWERS, none, method(ratio=0.25)),
    "the seed of a method that draws": (ANSWERS, method(seeded=True), lambda world: replace(world.cell, seed=1)),
    "less input": (ANSWERS, none, cell(downsample=DownsampleConfig(frames=2))),
    "a budget": (ANSWERS, none, cell(budget=BudgetConfig(mean=0.5))),
    "the solver of a budget": (ANSWERS, cell(budget=BudgetConfig(mean=0.5)), code("harness/plan/budget")),
    "a custom method": (ANSWERS, own("own.method:Mine"), edit("own/method.py", "half(x)", "-half(x)")),
    "a helper by relative import": (ANSWERS, own("own.method:Mine"), edit("own/helper.py", "x / 2", "x / 3")),
    "a table of numbers beside it": (ANSWERS, own("own.method:Mine"), file("own/table.npy", b"3 2 1")),
    "a package beside a loose module": (
        ANSWERS, own("loose_of_package:Mine"), edit("loose/beside/helper.py", "x / 2", "x / 3")
    ),
    "the __init__.py of what a method imports": (
        ANSWERS, own("own.further:Mine"), file("loose/beside/__init__.py", b"x = 1\n")
    ),
    "another package that a method imports": (
        ANSWERS, own("own.further:Mine"), edit("loose/beside/helper.py", "x / 2", "x / 3")
    ),
    "a method without __init__.py": (ANSWERS, own("bare.method:Mine"), edit("bare/method.py", "half(x)", "-half(x)")),
    "a helper without __init__.py": (ANSWERS, own("bare.method:Mine"), edit("bare/helper.py", "x / 2", "x / 3")),
    "a table without __init__.py": (ANSWERS, own("bare.method:Mine"), file("bare/table.npy", b"3 2 1")),
    "a sibling of a loose module": (ANSWERS, own("loose_method:Mine"), edit("loose/loose_helper.py", "x / 2", "x / 3")),
    # code and libraries
    **{
        f"code of {name}": (ANSWERS, none, code(name))
        for name in (
            "reducers/fastv", "reducers/core/base", "models/engine/attach", "models/loading/pretrained",
            "models/families/llava", "harness/run/generate", "harness/data/media", "harness/data/decoders",
        )
    },
    **{
        f"version of {name}": (ANSWERS, none, library(name))
        for name in ("torch", "transformers", "tokenizers", "numpy", "pillow", "torchvision", "av")
    },
    "version of a quantiser in use": (ANSWERS, model(quant="bnb-int8"), library("bitsandbytes")),
    "version of accelerate where layers are spread": (ANSWERS, model(device="spread"), library("accelerate")),
    "the decoder": (ANSWERS, none, variable("WINNOW_DECODER", "decord")),
    "version of the decoder in use": (ANSWERS, lambda w: w.patch.setenv("WINNOW_DECODER", "decord"), library("decord")),
    "version of torchcodec in use": (
        ANSWERS, lambda w: w.patch.setenv("WINNOW_DECODER", "torchcodec"), library("torchcodec")
    ),
    "version of flash-attn in use": (ANSWERS, model(attn="flash_attention_2"), library("flash-attn")),
    "version of triton on a GPU": (ANSWERS, model(device="cuda"), library("triton")),
    "version of torchao in use": (ANSWERS, model(quant="torchao-int8"), library("torchao")),
    "TF32": (ANSWERS, none, variable("NVIDIA_TF32_OVERRIDE", "1")),
    # scores
    "a label": (SCORE, none, rows(lambda found: found[0].update(answer="green"))),
    "a column that no prompt shows": (SCORE, none, rows(lambda found: found[0].update(source="a book"))),
    "the scorer's code": (SCORE, none, edit("tasks/utils.py", "float(results[0] ==", "float(results[0] !=")),
    "the metric": (SCORE, none, tasks(metric="wrong")),
    "when too much is unread": (SCORE, none, tasks(failed_above=0.1)),
    "version of lmms-eval": (SCORE, none, library("lmms-eval")),
    **{
        f"code of {name}": (SCORE, none, code(name))
        for name in ("harness/score/scoring", "harness/score/marking", "harness/tasks/readers")
    },
    # reports
    "what counts as an MLP's addition": (REPORT, none, model(mlp_add=False)),
    "numbers of trained weights": (REPORT, none, model(arch={"layers": 9})),
    **{
        f"code of {name}": (REPORT, none, code(name)) for name in ("harness/cost/physical", "harness/score/stats")
    },
    # what changes nothing
    **{
        f"a file {name}": (NOTHING, none, file(name))
        for name in (
            "tasks/.DS_Store", "weights/.DS_Store", "weights/.cache/huggingface/download/model.lock",
            "weights/README.md", "tasks/__pycache__/utils.pyc", "media/unused.mp4", "data/notes.txt",
        )
    },
    "a commit for the branch that stands at it": (NOTHING, branch("a" * 40), by_commit),
    "version of triton without a GPU": (NOTHING, model(device="cpu"), library("triton")),
    "a video's time": (NOTHING, none, lambda world: os.utime(world.root / "media/one.mp4", (1, 1))),
    "a comment": (NOTHING, none, edit("tasks/utils.py", '"""Ask."""', '"""Put the question."""  # well')),
    "the length of answers where the task sets its own": (NOTHING, none, tasks(max_new_tokens=5)),
    "a setting of the task, restated": (NOTHING, none, tasks(generation={"max_new_tokens": 4})),
    "a limit of as many as there are": (NOTHING, none, cell(limit=3)),
    "a limit of more than there are": (NOTHING, none, cell(limit=99)),
    "a seed that nothing draws from": (NOTHING, none, cell(seed=1)),
    "who shares prefills": (NOTHING, none, cell(share=ShareConfig("none"))),
    "batch size in float32": (NOTHING, none, cell(batch_size=1)),
    "names": (NOTHING, none, model(name="another")),
    "names of tasks": (NOTHING, none, tasks(name="another")),
    "where results go": (NOTHING, none, cell(results=Path("elsewhere"))),
    "force": (NOTHING, none, cell(force=True)),
    "another solver without a budget": (NOTHING, none, code("harness/plan/budget")),
    "another method": (NOTHING, none, code("reducers/vas")),
    "what a method of one's own does not import": (
        NOTHING, own("loose_of_package:Mine"), edit("loose/beside/unused.py", "x / 2", "x / 3")
    ),
    **{
        f"code of {name}": (NOTHING, none, code(name))
        for name in ("harness/cli/run", "harness/results/tables/runs", "harness/sweep/worker", "harness/run/claim")
    },
    **{
        f"version of {name}": (NOTHING, none, library(name))
        for name in (
            "decord", "torchcodec", "flash-attn", "torchao", "bitsandbytes", "accelerate", "datasets", "hydra-core",
            "pandas",
        )
    },
}  # fmt: skip


def outcome(before: Identity, after: Identity) -> str:
    if before.run != after.run:
        return ANSWERS
    return SCORE if before.score != after.score else REPORT if before.report != after.report else NOTHING


@pytest.mark.parametrize("name", CASES)
def test_a_change_leads_to_what_it_must(world: World, name: str) -> None:
    expected, before, change = CASES[name]
    world.cell = before(world) or world.cell
    first = identify(world.cell)
    assert first.known
    second = identify(change(world) or world.cell)
    assert outcome(first, second) == expected


def test_without_a_change_nothing_changes(world: World) -> None:
    assert identify(world.cell) == identify(world.cell)


def test_rows_of_another_commit_are_looked_at_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was found of a hub's dataset holds for the commit that the cache stood at."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    tasks, found = TasksConfig(name="t", tasks=["videomme"], data="hub"), []
    for commit in "a" * 40, "b" * 40, "a" * 40:
        reference = cached(BENCHMARKS["videomme"].repo) / "refs/main"
        reference.parent.mkdir(parents=True, exist_ok=True)
        reference.write_text(commit)
        found.append(_stamp(tasks, None))
    assert found[0] == found[2] != found[1]


def test_there_are_enough() -> None:
    counts = [sum(expected == kind for expected, _, _ in CASES.values()) for kind in (ANSWERS, SCORE, REPORT, NOTHING)]
    assert sum(counts) >= 60 and min(counts) >= 4, textwrap.shorten(str(counts), 80)
