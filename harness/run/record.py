"""What is kept of one answered document."""

from __future__ import annotations

import base64
import json
import zlib
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from winnow.reducers.core.errors import WinnowError

FATE = ("last_layer", "anchor")


@dataclass(frozen=True)
class Row:
    """One document, answered or failed.

    Attributes
    ----------
    task, doc_id : str, int
        Which document.
    doc : str
        Fingerprint of the document and its prompt: an answer to another document of the same number is no answer.
    answer : str
        What the model said, up to the first stop string.
    status : {"ok", "failed"}
    reason : str
        Why there is no answer.
    length, visual : int
        Tokens of the prompt, and how many of them are visual.
    tokens_per_layer, visual_per_layer : list of int
        Tokens (visual tokens) that each layer processed.
    last_layer, anchor : list of int
        Per visual token the last layer that saw it, and the visual token that it was merged into.
    grids : list of (int, int, int)
        Frames, rows and columns of each span of visual tokens.
    batch : int
        Prompts that shared the forward pass.
    media : str
        Which video or pictures it asks about: answers to one video are not independent.
    readers : list of str
        What read each video.
    damage : str
        What is wrong with a video that was accepted as it is; empty: nothing.
    seconds : float
        Wall-clock share of the document; a hint for planning runs, never a method's time.
    """

    task: str
    doc_id: int
    doc: str
    answer: str = ""
    status: Literal["ok", "failed"] = "ok"
    reason: str = ""
    length: int = 0
    visual: int = 0
    tokens_per_layer: list[int] = field(default_factory=list)
    visual_per_layer: list[int] = field(default_factory=list)
    last_layer: list[int] = field(default_factory=list)
    anchor: list[int] = field(default_factory=list)
    grids: list[list[int]] = field(default_factory=list)
    batch: int = 1
    media: str = ""
    readers: list[str] = field(default_factory=list)
    damage: str = ""
    seconds: float = 0.0

    @property
    def key(self) -> tuple[str, int]:
        """Which document."""
        return self.task, self.doc_id

    @property
    def shares(self) -> tuple[float, float, float]:
        """Share of visual tokens at the entrance, mean over layers, at the last layer; 1 without visual tokens."""
        if not self.visual or not self.visual_per_layer:
            return 1.0, 1.0, 1.0
        kept = [count / self.visual for count in self.visual_per_layer]
        return kept[0], sum(kept) / len(kept), kept[-1]

    def to_line(self) -> str:
        """One line of JSON; the per-token lists are packed, as they hold thousands of numbers."""
        values = vars(self)
        return json.dumps(values | {name: _pack(values[name]) for name in FATE}, ensure_ascii=False)


def from_line(line: str) -> Row:
    """Read what `Row.to_line` wrote.

    Raises
    ------
    ValueError
        If it is no such line.
    """
    values: dict[str, Any] = json.loads(line)
    known = {f.name for f in fields(Row)}
    if not isinstance(values, dict) or not {"task", "doc_id", "doc"} <= set(values):
        raise ValueError("these are not the fields of a journal row")
    if set(values) - known:
        raise ValueError(f"another version of Winnow wrote {', '.join(sorted(set(values) - known))}")
    return Row(**values | {name: _unpack(values[name]) for name in FATE if name in values})


def mean_shares(rows: Sequence[Row]) -> tuple[float, float, float]:
    """Mean over the answered documents of their three shares.

    Raises
    ------
    WinnowError
        If none was answered.
    """
    answered = [row.shares for row in rows if row.status == "ok"]
    if not answered:
        raise WinnowError("no document was answered")
    entrance, mean, last = (sum(column) / len(answered) for column in zip(*answered, strict=True))
    return entrance, mean, last


def _pack(values: Sequence[int]) -> str:
    return base64.b64encode(zlib.compress(array("i", values).tobytes())).decode()


def _unpack(text: str) -> list[int]:
    values = array("i")
    values.frombytes(zlib.decompress(base64.b64decode(text)))
    return values.tolist()
