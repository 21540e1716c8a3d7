"""Fingerprints change with the code that they cover, and with nothing else."""

from pathlib import Path

import pytest

from winnow.harness.common import sources
from winnow.harness.config.declared import declared
from winnow.reducers.core.errors import WinnowError

FILES = {
    "__init__.py": "",
    "method.py": '"""A method."""\nfrom pkg.helper import half\n\ndef run(x):\n    """Halve."""\n    return half(x)\n',
    "helper.py": "import math\n\ndef half(x):\n    return x / 2\n",
    "other.py": "def other():\n    return 1\n",
}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "pkg"
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def print_of(package: Path) -> str:
    sources._parse.cache_clear()
    return sources.fingerprint(["pkg.method"], follow=["pkg"])


@pytest.mark.parametrize(
    ("file", "old", "new", "changes"),
    [
        ("method.py", "return half(x)", "return half(x) + 1", True),
        ("helper.py", "x / 2", "x / 3", True),
        ("other.py", "return 1", "return 2", False),
        ("method.py", '"""Halve."""', '"""Halve it, please."""', False),
        ("method.py", '"""A method."""', "# a comment", False),
        ("helper.py", "x / 2", "(x /\n        2)", False),
    ],
    ids=["method", "helper", "unrelated module", "docstring", "comment", "layout"],
)
def test_what_counts(package: Path, file: str, old: str, new: str, changes: bool) -> None:
    before = print_of(package)
    text = (package / file).read_text()
    assert old in text
    (package / file).write_text(text.replace(old, new))
    assert (print_of(package) != before) == changes


def test_nothing_is_imported(package: Path) -> None:
    before = print_of(package)
    (package / "helper.py").write_text("raise SystemExit")
    assert print_of(package) != before


def test_missing_module_is_named() -> None:
    with pytest.raises(WinnowError, match=r"module 'no_such_package\.thing' cannot be found"):
        sources.fingerprint(["no_such_package.thing"])


def test_modules_of_a_package() -> None:
    found = sources.modules_below("winnow.models.engine")
    assert {"winnow.models.engine", "winnow.models.engine.attach"} <= set(found)
    assert sources.modules_below("no_such_package") == []


def test_fingerprint_reaches_helpers_of_a_real_method(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Path] = []
    parse = sources._parse
    monkeypatch.setattr(sources, "_parse", lambda path, changed: seen.append(path) or parse(path, changed))
    sources.fingerprint(["winnow.reducers.fastv"], follow=["winnow.reducers"])
    assert {"fastv.py", "base.py", "probes.py", "schedule.py"} <= {path.name for path in seen}
    assert "vas.py" not in {path.name for path in seen}


@pytest.mark.parametrize("text", [b"def half(x:\n", b"x = '\xff'\n", b"x = 1\0\n", b"(" * 9999])
def test_a_file_that_is_no_python_is_one_line(package: Path, text: bytes) -> None:
    (package / "helper.py").write_bytes(text)
    for look in (lambda: print_of(package), lambda: declared("pkg.helper:Mine")):
        with pytest.raises(WinnowError, match=r"^/.*helper\.py.* is no Python \(.*\): mend it$"):
            look()
    assert sources.content_files(package)
