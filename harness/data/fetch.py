"""Downloads what tasks need, and lays it out so that runs read the same files with or without a network."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from winnow.harness.common import files
from winnow.harness.common.errors import first_line, root_cause
from winnow.harness.common.folders import existing
from winnow.harness.data.hub import unreachable
from winnow.harness.data.listing import Listing
from winnow.harness.data.needs import Need, asked_revision
from winnow.harness.data.places import Data
from winnow.harness.data.unpack import unpack
from winnow.reducers.core.errors import WinnowError

CARD = "README.md"


def fetch(found: Sequence[Need], data: Data) -> Iterator[str]:
    """Fetch the splits and media that some tasks need; tells how much before each, and what was done.

    What is unpacked already is left alone, so that an interrupted or half extracted archive is completed.

    Raises
    ------
    WinnowError
        If the hub cannot be reached or refuses, or the disk has no room.
    """
    for need in found:
        task, repo = need.benchmark.task, need.benchmark.repo
        if not repo:
            yield f"{task}: put {need.rows.name} and what belongs to it into {need.rows.parent}, from {need.dataset}"
            continue
        listing = _listing(repo, asked_revision(need.benchmark))
        rows, media = listing.rows(need.benchmark), listing.media(need.benchmark)
        names = sorted({name for split in rows.values() for name in split} | set(media))
        size = listing.bytes_of(names)
        yield f"{task}: {len(names)} files of {repo} at {listing.commit[:8]}, {size / 1e9:.3g} GB"
        folder = _download(listing, names, size, data)
        _lay_out(folder, data.copies / repo, rows)
        count = unpack(folder, need.media, media) if need.media else 0
        yield f"{task}: {repo} is in {folder}" + (f", {count} files new in {need.media}" if count else "")


@cache
def _listing(repo: str, revision: str | None) -> Listing:
    """Ask the hub for the files of a dataset, with their sizes."""
    from huggingface_hub import HfApi

    try:
        found = HfApi().dataset_info(repo, revision=revision, files_metadata=True)
    except Exception as error:
        raise _refused(repo, error) from error
    card: Mapping[str, Any] = found.card_data.to_dict() if found.card_data else {}
    sizes = {one.rfilename: one.size or 0 for one in found.siblings or ()}
    return Listing(repo, revision, str(found.sha), sizes, card.get("configs") or [])


def _download(listing: Listing, names: Sequence[str], size: int, data: Data) -> Path:
    from huggingface_hub import constants, snapshot_download

    place = None if data.archives is None else data.archives / listing.repo
    room = shutil.disk_usage(existing(data.archives or Path(constants.HF_HUB_CACHE))).free
    try:
        found = snapshot_download(
            listing.repo,
            repo_type="dataset",
            revision=listing.revision,
            allow_patterns=list(names),
            local_dir=place,
        )
    except Exception as error:
        cause = root_cause(error)
        if isinstance(cause, OSError) and cause.errno is not None and size > room:
            told = f"takes {size / 1e9:.1f} GB, and there is room for {room / 1e9:.1f}"
            raise WinnowError(f"{listing.repo} {told}: make room") from error
        raise _refused(listing.repo, error) from error
    return Path(found)


def _refused(repo: str, error: Exception) -> WinnowError:
    if unreachable(error):
        return WinnowError(
            f"the hub cannot be reached: fetch dataset {repo} where there is a network, with --data FOLDER, and copy "
            "that folder here"
        )
    return WinnowError(f"dataset {repo} cannot be fetched: {first_line(root_cause(error))}")


def _lay_out(folder: Path, copy: Path, rows: Mapping[tuple[str, str], Sequence[str]]) -> None:
    """Link the files of rows into the copy that runs read, whose card names the fetched splits alone."""
    copy.mkdir(parents=True, exist_ok=True)
    for name in sorted({name for split in rows.values() for name in split}):
        _link(folder / name, copy / name)
    known = _known(copy / CARD) | {key: list(names) for key, names in rows.items()}
    listed: dict[str, list[dict[str, object]]] = {}
    for (config, split), names in sorted(known.items()):
        listed.setdefault(config, []).append({"split": split, "path": names})
    configs = [{"config_name": config, "data_files": splits} for config, splits in listed.items()]
    files.write_text(copy / CARD, f"---\n{yaml.safe_dump({'configs': configs}, sort_keys=False)}---\n")


def _known(card: Path) -> dict[tuple[str, str], list[str]]:
    """The splits that were fetched before."""
    if not card.is_file():
        return {}
    told = yaml.safe_load(card.read_text(encoding="utf-8").split("---")[1])["configs"]
    return {(one["config_name"], split["split"]): split["path"] for one in told for split in one["data_files"]}


def _link(source: Path, target: Path) -> None:
    """Link a file, relatively where both lie in one folder, so that it may be moved as a whole."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    target.symlink_to(os.path.relpath(source, target.parent))
