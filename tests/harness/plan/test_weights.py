"""Whether weights are here; a wrong path is told first, before a headline, and leaves nothing behind."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from winnow.harness.common.folders import PACKAGE
from winnow.harness.config.schema import ModelConfig
from winnow.harness.plan.weights import INDEX, _missing, check_weights, source_of, weights_here
from winnow.harness.sweep.plan import plan
from winnow.reducers.core.errors import WinnowError


@pytest.mark.parametrize("setting", ["model.repo", "model.weights"])
def test_no_such_folder(run: Callable[..., Any], results: Path, tmp_path: Path, setting: str) -> None:
    wrong = ("model=llava_ov_05b", f"{setting}={tmp_path / 'none'}", "tasks=pico_image")
    done = run(*wrong)
    assert (done.code, done.out, results.exists()) == (2, "", False)
    assert done.err == f"error: '{tmp_path / 'none'}' is no folder: give an existing one, or model.weights=random\n"
    (tmp_path / "none").mkdir()
    with pytest.raises(WinnowError, match=r"holds no checkpoint: config\.json is missing"):
        plan([*wrong, f"results={results}"])


def test_where_weights_come_from() -> None:
    assert source_of(ModelConfig(repo="a/b")) == "a/b"
    assert source_of(ModelConfig(repo="a/b", weights="random")) == "random"
    assert source_of(ModelConfig(repo="a/b", weights="./mine")) == "./mine"
    assert weights_here(ModelConfig(repo="a/b", weights="random")) == (True, "random weights need no files")


@pytest.mark.parametrize("name", ["a.safetensors", "a.bin", "a.pt", "a.pth"])
def test_a_folder_needs_a_file_of_weights(tmp_path: Path, name: str) -> None:
    assert _missing(tmp_path) == "weights"
    (tmp_path / name).write_text("")
    assert _missing(tmp_path) == ""


def test_an_index_names_the_files_that_are_needed(tmp_path: Path) -> None:
    (tmp_path / INDEX).write_text(
        json.dumps({"weight_map": {"x": "2.safetensors", "y": "1.safetensors", "z": "3.bin"}})
    )
    (tmp_path / "3.bin").write_text("")
    assert _missing(tmp_path) == "2 of 3 files of weights, 1.safetensors first"
    for name in ("1.safetensors", "2.safetensors"):
        (tmp_path / name).write_text("")
    assert _missing(tmp_path) == ""


@pytest.mark.parametrize(
    ("source", "looked"),
    [
        ("./mine", True), ("~/mine", True), ("/mine", True), ("here", True), ("org/model", False), ("random", False),
        (f"{PACKAGE}x/weights", False),
    ],
)  # fmt: skip
def test_folders_alone_are_looked_at_before_a_run(
    source: str, looked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr("winnow.models.loading.pretrained.check_folder", asked.append)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    cells: Any = [SimpleNamespace(model=ModelConfig(repo="org/other", weights=source)) for _ in range(2)]
    check_weights([*cells, SimpleNamespace(model=ModelConfig(repo="org/other"))])
    assert asked == [source] * looked


@pytest.mark.parametrize(
    ("cached", "names", "here", "said"),
    [
        (None, [], False, "org/model is not in the hub's cache: hf download org/model"),
        (object(), [], False, "org/model is not in the hub's cache"),
        ("config.json", ["a.bin"], True, "there ("), ("config.json", [], False, "lacks weights: hf download org/model"),
    ],
)  # fmt: skip
def test_weights_of_a_hub_lie_in_its_cache(
    cached: Any, names: list[str], here: bool, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = str(tmp_path / cached) if isinstance(cached, str) else cached
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda repo, name, revision: found)
    for name in names:
        (tmp_path / name).write_text("")
    there, words = weights_here(ModelConfig(repo="org/model", revision=None))
    assert there == here and said in words and (str(tmp_path) in words) == isinstance(cached, str)


def test_a_folder_that_is_not_there_has_no_weights(tmp_path: Path) -> None:
    there, words = weights_here(ModelConfig(repo=str(tmp_path / "gone")))
    assert not there and words.startswith(f"'{tmp_path / 'gone'}' is no folder")
