"""The programs and the notebook of docs/examples run to their end."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parent.parent / "docs/examples"
SAYS = {
    "attach_a_method": "[25, 25, 25, 6, 6, 6, 6, 6]",
    "a_method_of_your_own": "[25, 25, 5, 5, 5, 5, 5, 5]",
    "compare_methods": "delta_p",
    "plan_the_cost": "fastv  keeps ",
    "keep_the_tokens": "the tokens that FastV keeps",
}


def test_each_example_is_listed_and_tried() -> None:
    page, files = (EXAMPLES / "index.md").read_text(), {path.name for path in EXAMPLES.iterdir()} - {"index.md"}
    assert files == {f"{name}.py" for name in SAYS} | {"figures.ipynb"}
    assert all(f"[{name}]({name})" in page for name in files)


@pytest.mark.full
@pytest.mark.parametrize("name", SAYS)
def test_a_program_runs(name: str, tmp_path: Path, benchmark: Path) -> None:
    command = [sys.executable, EXAMPLES / f"{name}.py", tmp_path / "runs"]
    environment = os.environ | {"WINNOW_CACHE": str(benchmark)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert SAYS[name] in done.stdout


@pytest.mark.full
def test_the_notebook_runs(tmp_path: Path, benchmark: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.setenv("WINNOW_CACHE", str(benchmark))
    monkeypatch.setenv("RESULTS", str(tmp_path / "runs"))
    book = nbformat.read(EXAMPLES / "figures.ipynb", as_version=4)
    NotebookClient(book, timeout=240, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [kind for cell in book.cells for output in cell.get("outputs", []) for kind in output.get("data", {})]
    assert "text/html" in shown and "image/png" in shown
