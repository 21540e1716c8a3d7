"""Files of a checkpoint, in a folder or on the hub."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import safe_open
from torch import Tensor
from transformers.utils import cached_file

from winnow.reducers.core.errors import WinnowError


@dataclass(frozen=True)
class Checkpoint:
    """Where a checkpoint lies.

    Parameters
    ----------
    source : str
        Folder or hub id.
    revision : str or None
        Revision on the hub.
    """

    source: str
    revision: str | None = None

    def file(self, name: str) -> Path | None:
        """Find a file by its path inside the checkpoint, downloading it where need be; None if there is none."""
        found = cached_file(self.source, name, revision=self.revision, _raise_exceptions_for_missing_entries=False)
        return None if found is None else Path(found)

    def json(self, name: str) -> dict[str, Any]:
        """Read a JSON file.

        Raises
        ------
        WinnowError
            If there is none.
        """
        path = self.file(name)
        if path is None:
            raise WinnowError(f"{self.source} holds no {name}")
        read: dict[str, Any] = json.loads(path.read_text())
        return read

    def tensors(self, folder: str = "") -> dict[str, Tensor]:
        """Map the tensors of one folder by name; shards stay on disk, and are paged in as they are copied.

        Raises
        ------
        WinnowError
            If there are no safetensors: pickles can run code and are not read.
        """
        index = self.file(f"{folder}model.safetensors.index.json")
        shards = ["model.safetensors"] if index is None else json.loads(index.read_text())["weight_map"].values()
        tensors: dict[str, Tensor] = {}
        for shard in sorted(set(shards)):
            path = self.file(folder + shard)
            if path is None:
                raise WinnowError(f"{self.source} holds no {folder}{shard}; weights are read from safetensors only")
            with safe_open(path, "pt") as opened:
                tensors |= {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        return tensors
