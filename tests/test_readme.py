"""The README's example runs and prints what it says."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def test_library_example(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    found = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert found is not None
    promised = re.search(r"print\(.*\)  # (.*)", found[1])
    assert promised is not None
    monkeypatch.chdir(ROOT)
    exec(compile(found[1], "README.md", "exec"), {})
    assert capsys.readouterr().out.strip() == promised[1]


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_lead_to_files(document: str) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / document).read_text())
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_the_example_for_authors_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """The views by hand of docs/authors.md, without a model."""
    found = re.search(r"```python\n(.*?)```", (ROOT / "docs" / "authors.md").read_text(), re.DOTALL)
    assert found is not None
    exec(compile(found[1], "docs/authors.md", "exec"), {})
    said = capsys.readouterr().out.splitlines()
    assert said[0].endswith("torch.Size([8, 64])") and said[1] == "torch.Size([4, 64])"
