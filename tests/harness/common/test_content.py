"""Files are named by their content, read once, and read again after any change."""

import os
from pathlib import Path

import pytest

from winnow.harness.common import content
from winnow.harness.common.content import content_hash


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WINNOW_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(content, "_known", {})
    monkeypatch.setattr(content, "SETTLED", -1.0)


def test_content_counts_and_names_do_not(tmp_path: Path) -> None:
    one, same, other = (tmp_path / name for name in "abc")
    one.write_bytes(b"bytes")
    same.write_bytes(b"bytes")
    other.write_bytes(b"bytez")
    assert content_hash(one) == content_hash(same) != content_hash(other)


def test_an_edit_at_equal_size_and_time_is_seen(tmp_path: Path) -> None:
    file = tmp_path / "video.mp4"
    file.write_bytes(b"before")
    stat, before = file.stat(), content_hash(file)
    file.write_bytes(b"after!")
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert file.stat().st_mtime_ns == stat.st_mtime_ns and content_hash(file) != before


@pytest.mark.parametrize("kept", ["process", "disk"])
def test_a_file_is_read_once(tmp_path: Path, kept: str, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "weights"
    file.write_bytes(b"numbers")
    first = content_hash(file)
    if kept == "disk":
        content._known.clear()
    monkeypatch.setattr(content.hashlib, "file_digest", lambda *args: pytest.fail("it was read again"))
    assert content_hash(file) == first


def test_a_file_that_has_just_changed_is_not_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "SETTLED", 3600.0)
    file = tmp_path / "young"
    file.write_bytes(b"x")
    content_hash(file)
    assert not content._known and not (tmp_path / "cache").exists()


def test_a_damaged_note_is_not_believed(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x")
    right = content_hash(file)
    content._known.clear()
    for note in (tmp_path / "cache").rglob("*"):
        if note.is_file():
            note.write_bytes(b"\xff")
    assert content_hash(file) == right
