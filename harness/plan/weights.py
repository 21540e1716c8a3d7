"""Whether the weights that a model names are where it says, looked at before anything is announced or written."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from winnow.harness.common.folders import PACKAGE
from winnow.harness.config.cell import Cell


def check_weights(cells: Iterable[Cell]) -> None:
    """Look at the folders of weights; what a hub has, loading tells.

    Raises
    ------
    WinnowError
        If one is not there, or holds no weights.
    """
    models = (cell.model for cell in cells)
    sources = {model.repo if model.weights == "pretrained" else model.weights for model in models}
    for source in sorted(sources - {"random"}):
        if not source.startswith(PACKAGE) and (source.startswith((".", "~", "/")) or Path(source).is_dir()):
            from winnow.models.loading.pretrained import check_folder

            check_folder(source)
