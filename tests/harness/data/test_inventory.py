"""The stock of several tasks: each with its own prints, labels and files."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from winnow.harness.config.schema import TasksConfig
from winnow.harness.data import inventory as module
from winnow.harness.data.document import Document
from winnow.harness.data.inventory import ABSENT, Inventory, _kept, _take
from winnow.harness.data.pixels import pixels_of


class Two:
    """Tasks `a` and `b`, of two documents each; every document shows a video of its own."""

    root: Path

    def __init__(self, config: TasksConfig) -> None:
        self.config = config

    def load(self, name: str) -> Any:
        rows = SimpleNamespace(features={})
        return SimpleNamespace(dataset={"test": rows}, DATASET_PATH="", get_config=lambda key: None)

    def documents(self, name: str, limit: int | None) -> list[Document]:
        def document(i: int) -> Document:
            video = self.root / f"{name}{i}.mp4"
            row = {"label": (self.root / f"{name}.label").read_text()}
            return Document(name, i, f"what is {i}?", lambda: [str(video)], {}, (), None, "", row, "test")

        return [document(i) for i in range(2)][:limit]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("a", "b"):
        (tmp_path / f"{name}.label").write_text("red")
        for i in range(2):
            (tmp_path / f"{name}{i}.mp4").write_bytes(f"pixels {name}{i}".encode())
    Two.root = tmp_path
    monkeypatch.setattr(module, "Tasks", Two)
    monkeypatch.setattr(module, "opened", lambda: __import__("contextlib").nullcontext(set()))
    monkeypatch.setenv("WINNOW_CACHE", str(tmp_path / "cache"))
    return tmp_path


def take(limit: int | None = None) -> Inventory:
    return _take(TasksConfig("t", ["a", "b"]), limit)


@pytest.mark.parametrize("name", ["a0", "a1", "b0", "b1"])
def test_a_video_of_any_document_of_any_task_counts_where_it_is_shown(root: Path, name: str) -> None:
    before = take()
    (root / f"{name}.mp4").write_bytes(b"other pixels")
    after = take()
    changed = {(task, i) for task in "ab" for i in range(2) if before.prints[task][i] != after.prints[task][i]}
    assert changed == {(name[0], int(name[1]))} and before.labels == after.labels
    assert {Path(path).name for path in before.uses} == {"a0.mp4", "a1.mp4", "b0.mp4", "b1.mp4"}
    assert before.videos and before.whole


@pytest.mark.parametrize("name", ["a", "b"])
def test_labels_are_those_of_their_task(root: Path, name: str) -> None:
    before = take()
    (root / f"{name}.label").write_text("blue")
    after = take()
    assert {task for task in "ab" if before.labels[task] != after.labels[task]} == {
        name
    } and before.prints == after.prints


def test_a_limit_takes_the_first_documents_of_each_task(root: Path) -> None:
    whole, less = take(), take(1)
    assert less.prints == {task: prints[:1] for task, prints in whole.prints.items()}


def test_what_is_missing_is_said_and_the_rest_is_taken(root: Path) -> None:
    whole = take()
    (root / "b0.mp4").unlink()
    found = take()
    assert not found.whole and found.prints["a"] == whole.prints["a"] and found.prints["b"][1] == whole.prints["b"][1]
    assert found.prints["b"][0] != whole.prints["b"][0] and ABSENT not in found.prints["b"]


def test_a_stored_stock_holds_until_one_of_its_files_changes(root: Path) -> None:
    from dataclasses import asdict

    from winnow.harness.common import files

    found = take()
    files.write_json(root / "stock.json", asdict(found))
    assert _kept(root / "stock.json") == found
    (root / "b1.mp4").write_bytes(b"other pixels")
    assert _kept(root / "stock.json") is None is _kept(root / "none.json")


def test_a_time_step_is_part_of_what_is_shown(root: Path) -> None:
    video = str(root / "a0.mp4")
    prints = [pixels_of([shown]) for shown in (video, *({"video_path": video, "timestep": t} for t in (1, 2)))]
    assert len({tuple(found) for found in prints}) == 3
