"""Whether the weights that a model names are where it says, looked at before anything is announced or written."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from winnow.harness.common.folders import PACKAGE
from winnow.harness.config.cell import Cell
from winnow.harness.config.schema import ModelConfig
from winnow.reducers.core.errors import WinnowError

INDEX = "model.safetensors.index.json"
KINDS = ("*.safetensors", "*.bin", "*.pt", "*.pth")


def check_weights(cells: Iterable[Cell]) -> None:
    """Look at the folders of weights; what a hub has, loading tells.

    Raises
    ------
    WinnowError
        If one is not there, or holds no weights.
    """
    models = (cell.model for cell in cells)
    sources = {source_of(model) for model in models}
    for source in sorted(sources - {"random"}):
        if not source.startswith(PACKAGE) and (source.startswith((".", "~", "/")) or Path(source).is_dir()):
            from winnow.models.loading.pretrained import check_folder

            check_folder(source)


def source_of(model: ModelConfig) -> str:
    """Where a model's weights come from: a folder, a repository of the hub, or ``random``."""
    return model.repo if model.weights == "pretrained" else model.weights


def weights_here(model: ModelConfig) -> tuple[bool, str]:
    """Whether a model's weights lie on this machine, and where, or what is missing; reads none, asks no network."""
    source = source_of(model)
    if source == "random":
        return True, "random weights need no files"
    from winnow.models.loading.pretrained import check_folder, locate

    folder = Path(locate(source)).expanduser()
    try:
        check_folder(str(folder))
    except WinnowError as error:
        return False, str(error)
    if not folder.is_dir():
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(source, "config.json", revision=model.revision)
        if not isinstance(found, str):
            return False, f"{source} is not in the hub's cache: hf download {source}"
        folder = Path(found).parent
    missing = _missing(folder)
    return not missing, f"{folder} lacks {missing}: hf download {source}" if missing else f"there ({folder})"


def _missing(folder: Path) -> str:
    if (folder / INDEX).exists():
        wanted = set(json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"].values())
        lacks = sorted(name for name in wanted if not (folder / name).exists())
        return f"{len(lacks)} of {len(wanted)} files of weights, {lacks[0]} first" if lacks else ""
    return "" if any(any(folder.glob(kind)) for kind in KINDS) else "weights"
