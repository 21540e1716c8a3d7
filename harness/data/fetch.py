"""Downloads the data of tasks and unpacks their videos where lmms-eval looks for them."""

from __future__ import annotations

import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import IO, Any, BinaryIO

from winnow.harness.common.errors import first_line, root_cause
from winnow.harness.data.hub import unreachable
from winnow.harness.data.needs import Need
from winnow.reducers.core.errors import WinnowError

MEDIA = {".mp4", ".mkv", ".webm", ".avi", ".mov", ".srt", ".json"}


def fetch(found: Sequence[Need]) -> Iterator[str]:
    """Fetch what some tasks need, each dataset once; tells what was done.

    What is unpacked already is left alone, so that an interrupted or half extracted archive is completed.

    Raises
    ------
    WinnowError
        If the hub cannot be reached or refuses.
    """
    seen: set[tuple[str, Path | None]] = set()
    for need in found:
        repo = need.benchmark.repo
        if (repo, need.media) in seen:
            continue
        seen.add((repo, need.media))
        if not repo:
            wanted = "test_q.json, test_a.json and videos"
            yield f"{need.benchmark.task}: put {wanted} into {need.media}, from {need.dataset}"
            continue
        folder = _snapshot(need)
        count = unpack(folder, need.media) if need.media else 0
        yield f"{need.benchmark.task}: {repo} is in {folder}" + (
            f", {count} files new in {need.media}" if count else ""
        )


def _snapshot(need: Need) -> Path:
    from huggingface_hub import snapshot_download

    from winnow.harness.data.needs import asked_revision

    try:
        revision = asked_revision(need.benchmark)
        return Path(snapshot_download(need.benchmark.repo, repo_type="dataset", revision=revision))
    except Exception as error:
        repo = need.benchmark.repo
        if unreachable(error):
            raise WinnowError(
                f"the hub cannot be reached: fetch dataset {repo} where there is a network, and copy it to {need.rows}"
            ) from error
        raise WinnowError(f"dataset {repo} cannot be fetched: {first_line(root_cause(error))}") from error


RATIO = 200
"""How many times larger than in its archive a file may be: videos and pictures are packed already."""
SMALL = 10 << 20
"""Bytes up to which that does not matter."""


def unpack(folder: Path, media: Path) -> int:
    """Unpack all archives of a folder, and link its loose media files; return how many files are new.

    Raises
    ------
    WinnowError
        Names an archive that is damaged.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    count = 0
    for path in files:
        if path.suffix == ".zip":
            count += _guard(path, _unzip(path, media))
        elif path.suffix in MEDIA:
            count += _link(path, media / path.relative_to(folder))
    tars = [path for path in files if ".tar" in path.name]
    for stem, parts in groupby(tars, key=lambda path: path.parent / path.name.partition(".part")[0]):
        count += _guard(stem, _untar(list(parts), media))
    return count


def _guard(path: Path, written: Iterable[bool]) -> int:
    try:
        return sum(written)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
        raise WinnowError(f"archive {path} is damaged ({first_line(error)}): delete it and fetch again") from error


def _link(path: Path, target: Path) -> int:
    if target.exists():
        return 0
    target.parent.mkdir(parents=True, exist_ok=True)
    target.symlink_to(path.resolve())
    return 1


def _unzip(path: Path, media: Path) -> Iterator[bool]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if not member.is_dir():
                if member.file_size > RATIO * member.compress_size + SMALL:
                    raise WinnowError(
                        f"archive {path} holds '{member.filename}', {member.file_size} bytes out of "
                        f"{member.compress_size}: no video packs like that; do not trust it"
                    )
                with archive.open(member) as source:
                    yield _put(media, member.filename, member.file_size, source)


def _untar(parts: list[Path], media: Path) -> Iterator[bool]:
    stream: Any = _Joined(parts)
    with tarfile.open(fileobj=stream, mode="r|*") as archive:
        for member in archive:
            source = archive.extractfile(member) if member.isfile() else None
            if source is not None:
                yield _put(media, member.name, member.size, source)


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
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".part-", delete=False) as draft:
        shutil.copyfileobj(source, draft)
    Path(draft.name).replace(target)
    return True


class _Joined:
    """Reads the parts of one archive as if they were one file."""

    def __init__(self, parts: list[Path]) -> None:
        self.rest = list(parts)
        self.file: BinaryIO | None = None

    def read(self, size: int = -1) -> bytes:
        """Read up to `size` bytes; nothing at the end of the last part."""
        while True:
            if self.file is None:
                if not self.rest:
                    return b""
                self.file = self.rest.pop(0).open("rb")
            found = self.file.read(size)
            if found:
                return found
            self.file.close()
            self.file = None
