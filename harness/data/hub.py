"""The hub: which commit of a repository a run stands on, and whether it can be reached."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

COMMIT = re.compile("[0-9a-f]{40}")
SECONDS = 5.0
"""To wait for the hub."""


@cache
def commit(repo: str, revision: str | None) -> str | None:
    """Resolve a revision: to what the cache holds of it, else to what the hub says; None if neither knows.

    The cache comes first, so that runs of one cell stand on one commit until it is emptied or another revision is asked
    for, whatever the hub has received since.

    Parameters
    ----------
    repo : str
        The hub's name of the repository.
    revision : str or None
        Branch, tag or commit; None is the main branch.
    """
    if revision is not None and COMMIT.fullmatch(revision):
        return revision
    from huggingface_hub import HfApi, constants
    from huggingface_hub.file_download import repo_folder_name

    try:
        folder = repo_folder_name(repo_id=repo, repo_type="model")
    except ValueError:  # no name of a repository: loading will say so
        return None
    reference = Path(constants.HF_HUB_CACHE) / folder / "refs" / (revision or "main")
    if reference.is_file():
        return reference.read_text().strip()
    if constants.HF_HUB_OFFLINE:
        return None
    try:
        return HfApi().model_info(repo, revision=revision, timeout=SECONDS).sha
    except Exception:  # no network, no such repository: loading will say so
        return None


def unreachable(error: BaseException) -> bool:
    """Whether an error, or one behind it, says that the hub could not be reached."""
    names = {"ConnectionError", "ConnectError", "OfflineModeIsEnabled", "LocalEntryNotFoundError", "ConnectTimeout"}
    seen: set[int] = set()
    stack: list[BaseException | None] = [error]
    while stack:
        found = stack.pop()
        if found is None or id(found) in seen:
            continue
        seen.add(id(found))
        if type(found).__name__ in names:
            return True
        attempt = getattr(found, "last_attempt", None)
        stack += [found.__cause__, found.__context__, attempt.exception() if attempt is not None else None]
    return False
