"""Files are there as a whole or not at all."""

from pathlib import Path

import pytest

from winnow.harness.common import files
from winnow.reducers.core.errors import WinnowError


def test_interrupted_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    files.write_json(path, {"a": 1})

    def fill(draft: Path) -> None:
        draft.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        files.write(path, fill)
    assert files.read_json(path) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["file.json"]


@pytest.mark.parametrize("text", ["{", "[" * 99_999, '{"a":' * 99_999])
def test_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "result.json"
    path.write_text(text)
    with pytest.raises(WinnowError, match=r"result\.json is damaged .* delete the folder"):
        files.read_json(path)


def test_full_disk_is_one_line(tmp_path: Path) -> None:
    refused = pytest.raises(WinnowError, match=r"cannot write into .*: No space left on device")
    with refused, files.writable(tmp_path), Path("/dev/full").open("w") as file:
        file.write("x")


def test_other_errors_stay_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), files.writable(tmp_path):
        (tmp_path / "none").read_text()
