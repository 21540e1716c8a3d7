"""What is kept of one answered document."""

from __future__ import annotations

import json
import sys
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from winnow.harness.common.files import parse
from winnow.harness.run.fate import unpack
from winnow.reducers.core.errors import WinnowError

if TYPE_CHECKING:
    import numpy as np

BINARY, ESCAPE = b"\0", b"\x1b"
"""What parts the JSON of a line from the bytes behind it, and what stands before those that are replaced there."""

ALIKE = 1024
"""Different lists of which rows that are alike share one."""
NOTHING: list[float] = []
"""The options of all rows that have none."""


class Place(NamedTuple):
    """Where a row lies whole."""

    path: Path
    offset: int


@dataclass(frozen=True, slots=True)
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
    fate : bytes
        What became of each visual token, as `fate.pack` packs it; see `tokens`. Left on the disk in rows that have a
        `place`.
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
    generated : int
        Tokens of the answer, its end among them; 0 where that was not noted.
    cut : bool
        Whether it ended at the limit.
    logprob : float or None
        Log-probability of the answer; None where that was not noted, as of beams.
    options : list of float
        Log-probability of each option of the question, in their order, as the first token of the answer.
    sinks : list of int
        Places, among the visual tokens, of those whose norm stands out where they enter the LLM.
    rank : float or None
        Effective rank, there, of the visual tokens that the last layer still sees; see `entered.effective_rank`.
    place : Place or None
        Where the row lies whole, if this one is without its fate; not part of what it says.
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
    fate: bytes = field(default=b"", repr=False)
    grids: list[list[int]] = field(default_factory=list)
    batch: int = 1
    media: str = ""
    readers: list[str] = field(default_factory=list)
    damage: str = ""
    seconds: float = 0.0
    generated: int = 0
    cut: bool = False
    logprob: float | None = None
    options: list[float] = field(default_factory=list)
    sinks: list[int] = field(default_factory=list)
    rank: float | None = None
    place: Place | None = field(default=None, compare=False, repr=False)

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

    @property
    def tokens(self) -> tuple[np.ndarray, np.ndarray]:
        """Per visual token the last layer that saw it (-1: none), and the token that it was merged into."""
        return unpack(self.fate)

    def light(self, place: Place) -> Row:
        """The same row without its fate, which lies at `place`; what many rows have alike is held once."""
        tokens, visual, sinks = map(_numbers, (self.tokens_per_layer, self.visual_per_layer, self.sinks))
        grids, readers = _whole(json.dumps(self.grids)), _whole(json.dumps(self.readers))
        task, media = sys.intern(self.task), sys.intern(self.media)
        return replace(
            self, task=task, media=media, fate=b"", place=place, tokens_per_layer=tokens, visual_per_layer=visual,
            grids=grids, readers=readers, options=self.options or NOTHING, sinks=sinks,
        )  # fmt: skip

    def to_line(self) -> bytes:
        """One line: JSON, and behind it the fate as it is, without the byte that ends lines."""
        text = json.dumps({name: getattr(self, name) for name in PLAIN}, ensure_ascii=False).encode()
        fate = self.fate.replace(ESCAPE, ESCAPE + b"e").replace(b"\n", ESCAPE + b"n")
        return text + BINARY + fate if fate else text


PLAIN = [f.name for f in fields(Row) if f.name not in ("fate", "place")]


def from_line(line: bytes) -> Row:
    """Read what `Row.to_line` wrote.

    Raises
    ------
    ValueError
        If it is no such line.
    WinnowError
        If it is whole, but has fields that another version of Winnow wrote.
    """
    text, _, binary = line.partition(BINARY)
    values: dict[str, Any] = parse(text)
    if not isinstance(values, dict) or not {"task", "doc_id", "doc"} <= set(values):
        raise ValueError("these are not the fields of a journal row")
    if foreign := set(values) - set(PLAIN):
        raise WinnowError(f"another version of Winnow wrote its rows, with {', '.join(sorted(foreign))}")
    return Row(**values, fate=binary.replace(ESCAPE + b"n", b"\n").replace(ESCAPE + b"e", ESCAPE))


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


@lru_cache(maxsize=ALIKE)
def _whole(text: str) -> list[Any]:
    found: list[Any] = json.loads(text)
    return found


def _numbers(values: list[int]) -> list[int]:
    """The same list for as many rows as have it."""
    return _listed(array("i", values).tobytes())


@lru_cache(maxsize=ALIKE)
def _listed(packed: bytes) -> list[int]:
    """Some numbers, with one object for equal ones."""
    return list(map(_same, array("i", packed)))


@cache
def _same(value: int) -> int:
    return value
