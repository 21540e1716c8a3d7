"""Whether weights are here; a wrong path is told first, before a headline, and leaves nothing behind."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from winnow.harness.config.schema import ModelConfig
from winnow.harness.plan.weights import INDEX, _missing, source_of, weights_here
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
