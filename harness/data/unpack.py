"""Unpacks archives of videos where lmms-eval looks for them; no file is ever left half written."""

from __future__ import annotations

import bz2
import errno
import gzip
import io
import lzma
import os
import re
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, cast

from winnow.harness.common.errors import first_line
from winnow.reducers.core.errors import WinnowError

MEDIA = {".mp4", ".mkv", ".webm", ".avi", ".mov", ".m4v", ".gif", ".srt", ".json"}
ARCHIVE = re.compile(
    r"(?P<stem>.+?)(?P<kind>\.zip|\.tar(\.(gz|bz2|xz|zst))?|\.tgz|\.tbz2?|\.txz)"
    r"([._-]?part[._-]?(?P<part>\d+|[a-z]{1,3})|[._](?P<split>\d+|[a-z]{2}))?",
    re.IGNORECASE,
)
"""Names of archives and of their parts: ``a.tar.gz``, ``a.tar.part_aa``, ``a.zip.001``, ``a.TGZ``."""
PIECE = 1 << 20


RATIO = 200
"""How many times larger than in its archive a file may be: videos and pictures are packed already."""
SMALL = 10 << 20
"""Bytes up to which that does not matter."""


def unpack(folder: Path, media: Path, names: Sequence[str] | None = None) -> int:
    """Unpack archives of a folder, and link its loose media files; return how many files are new.

    Parameters
    ----------
    folder, media : Path
        Where from, and where to.
    names : sequence of str or None
        Which files below the folder; None: all.

    Raises
    ------
    WinnowError
        Names an archive that is damaged, encrypted or not whole; no file is left half written.
    """
    found = folder.rglob("*") if names is None else [folder / name for name in names]
    files = sorted(path for path in found if path.is_file() or path.is_symlink())
    for path in files:
        if not path.exists():
            raise WinnowError(f"{path} is a link that leads nowhere: delete it and fetch again")
    count = 0
    for path in files:
        if path.suffix.lower() in MEDIA or (names is not None and not ARCHIVE.fullmatch(path.name)):
            count += _link(path, media / path.relative_to(folder))
    for stem, parts in archives(files):
        members = _unzip if ".zip" in stem.suffixes[-1:] else _untar
        count += _guard(stem, members(stem, parts, media))
    return count


def archives(files: Iterable[Path]) -> list[tuple[Path, list[Path]]]:
    """The archives among some files, each with its parts in order.

    Raises
    ------
    WinnowError
        If a part in the middle is missing.
    """
    found: dict[Path, list[tuple[int, Path]]] = {}
    for path in files:
        match = ARCHIVE.fullmatch(path.name)
        if match:
            stem = path.with_name(match["stem"] + match["kind"].lower())
            found.setdefault(stem, []).append((_number(match["part"] or match["split"] or ""), path))
    return [(stem, _in_order(stem, sorted(parts))) for stem, parts in sorted(found.items())]


def _in_order(stem: Path, parts: list[tuple[int, Path]]) -> list[Path]:
    numbers = [number for number, _ in parts]
    lacking = sorted(set(range(numbers[0], numbers[-1] + 1)) - set(numbers))
    if lacking or len(set(numbers)) < len(numbers):
        what = f"lacks part {lacking[0]}" if lacking else "has one part twice"
        raise WinnowError(f"archive {stem} {what} of {numbers[0]} to {numbers[-1]}: fetch again")
    return [path for _, path in parts]


def _number(part: str) -> int:
    """The number of a part: of digits, or of letters as the program split names them."""
    if part.isdigit() or not part:
        return int(part or 0)
    number = 0
    for letter in part.lower():
        number = 26 * number + ord(letter) - ord("a")
    return number


def _guard(path: Path, written: Iterable[bool]) -> int:
    try:
        return sum(written)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError) as error:
        raise WinnowError(f"archive {path} is damaged ({first_line(error)}): delete it and fetch again") from error
    except (RuntimeError, NotImplementedError) as error:  # how zipfile tells of passwords and unknown compression
        raise WinnowError(
            f"archive {path} cannot be unpacked ({first_line(error)}): unpack it by other means"
        ) from error
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        raise WinnowError(f"archive {path} holds a name that is too long for this disk: {error.filename}") from error


def _link(path: Path, target: Path) -> int:
    if target.exists():
        return 0
    target.unlink(missing_ok=True)  # a link that leads nowhere any more
    target.parent.mkdir(parents=True, exist_ok=True)
    target.symlink_to(path.resolve())
    return 1


def _unzip(stem: Path, parts: list[Path], media: Path) -> Iterator[bool]:
    with _Joined(parts) as whole, zipfile.ZipFile(whole) as archive:
        for member in archive.infolist():
            if not member.is_dir():
                if member.file_size > RATIO * member.compress_size + SMALL:
                    raise WinnowError(
                        f"archive {stem} holds '{member.filename}', {member.file_size} bytes out of "
                        f"{member.compress_size}: no video packs like that; do not trust it"
                    )
                with archive.open(member) as source:
                    yield _put(media, member.filename, member.file_size, source)


def _untar(stem: Path, parts: list[Path], media: Path) -> Iterator[bool]:
    new: list[Path] = []
    with _Joined(parts) as whole, _expanded(whole) as plain, tarfile.open(fileobj=plain, mode="r|") as archive:
        for member in archive:
            source = archive.extractfile(member) if member.isfile() else None
            if source is not None:
                written = _put(media, member.name, member.size, source)
                new += [media / member.name] if written else []
                yield written
        try:
            while plain.read(PIECE):  # the checksum stands at the end
                pass
        except (OSError, EOFError):
            for path in new:  # one of them is damaged, and nothing tells which
                path.unlink(missing_ok=True)
            raise


def _expanded(whole: _Joined) -> IO[bytes]:
    """What a compressed archive holds, read with its checksums."""
    head = whole.read(6)
    whole.seek(0)
    if head.startswith(b"\x1f\x8b"):
        return cast("IO[bytes]", gzip.GzipFile(fileobj=whole))
    if head.startswith(b"BZh"):
        return cast("IO[bytes]", bz2.BZ2File(whole))
    if head.startswith(b"\xfd7zXZ"):
        return cast("IO[bytes]", lzma.LZMAFile(cast("IO[bytes]", whole)))
    return whole  # type: ignore[return-value]


def _put(media: Path, name: str, size: int, source: IO[bytes]) -> bool:
    """Write one file under a temporary name first, unless it is there in full."""
    target = (media / name).resolve()
    if not target.is_relative_to(media.resolve()):
        raise WinnowError(f"an archive for {media} holds '{name}', which lies outside of it: do not trust it")
    if target.exists() and target.stat().st_size == size:
        return False
    if size > (free := shutil.disk_usage(media.parent if not media.exists() else media).free):
        raise WinnowError(f"'{name}' of an archive has {size} bytes, and {media} has room for {free}: make room")
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=target.parent, prefix=".part-")
    try:
        with os.fdopen(handle, "wb") as file:
            shutil.copyfileobj(source, file)
        if Path(draft).stat().st_size != size:
            raise EOFError(f"{name} ends early")
        Path(draft).replace(target)
    finally:
        Path(draft).unlink(missing_ok=True)
    return True


class _Joined(io.RawIOBase):
    """Reads the parts of one archive as if they were one file."""

    def __init__(self, parts: list[Path]) -> None:
        self.parts, self.sizes = parts, [path.stat().st_size for path in parts]
        self.place = 0

    def readable(self) -> bool:
        """Whether it can be read."""
        return True

    def seekable(self) -> bool:
        """Whether one can go to a place in it, as zips ask."""
        return True

    def tell(self) -> int:
        """Where the next byte is."""
        return self.place

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self.place, os.SEEK_END: sum(self.sizes)}[whence]
        self.place = max(0, base + offset)
        return self.place

    def read(self, size: int = -1) -> bytes:
        """Read up to `size` bytes; nothing at the end of the last part."""
        begin = 0
        for path, length in zip(self.parts, self.sizes, strict=True):
            if self.place < begin + length:
                with path.open("rb") as file:
                    file.seek(self.place - begin)
                    found = file.read(size)
                self.place += len(found)
                rest = size - len(found) if size >= 0 else -1
                more = rest and self.place == begin + length
                return found + self.read(rest) if more else found
            begin += length
        return b""
