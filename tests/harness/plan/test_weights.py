"""A wrong path of weights is told first, before a headline, and leaves nothing behind."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

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
