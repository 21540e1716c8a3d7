"""The parts of a paper's table: its cells, its rows, the whole."""

from __future__ import annotations

from dataclasses import dataclass, field

from winnow.harness.config.preset import PaperRow, Preset
from winnow.harness.config.printed import Printed
from winnow.harness.results.paper.values import Value
from winnow.harness.run.result import Result
from winnow.harness.score.paired import Compared

EXECUTED = "FLOPs as executed"
LEVEL = 0.05


@dataclass(frozen=True)
class Entry:
    """One cell of a table.

    Attributes
    ----------
    ours : Value or None
    printed : Printed or None
    base, random : Compared or None
        Our run against the unreduced one, and against random dropping at equal budget.
    p_base, p_random : float or None
        Their p values, adjusted over the table (Holm).
    best : bool
        Whether it is the best of its group.
    missing : bool
        Whether a run would fill it.
    """

    ours: Value | None = None
    printed: Printed | None = None
    base: Compared | None = None
    random: Compared | None = None
    p_base: float | None = None
    p_random: float | None = None
    best: bool = False
    missing: bool = False

    @property
    def difference(self) -> float | None:
        """Ours minus printed."""
        known = self.ours is not None and self.printed is not None and self.printed.value is not None
        return self.ours.mean - self.printed.value if known else None  # type: ignore[union-attr, operator]

    @property
    def lost(self) -> bool:
        """Whether it differs from the unreduced run, all comparisons of the table considered."""
        return self.p_base is not None and self.p_base < LEVEL

    @property
    def like_random(self) -> bool:
        """Whether it cannot be told from random dropping at equal budget."""
        return self.p_random is not None and not self.p_random < LEVEL


@dataclass(frozen=True)
class Line:
    """One row of a table; `retained` is its accuracy in per cent of the unreduced run's, over all benchmarks."""

    row: PaperRow
    label: str
    group: str
    entries: dict[str, Entry]
    runs: dict[str, Result]
    retained: float | None = None


@dataclass(frozen=True)
class Table:
    """A paper's table.

    `gates` say where its unreduced runs are off, `commands` what would fill what is missing, `sorted_by_place` are the
    methods that it runs in raster order, where their released code lists what is left in another one.
    """

    preset: Preset
    columns: list[str]
    lines: list[Line]
    smoke: bool = False
    gates: list[str] = field(default_factory=list)
    commands: dict[str, str] = field(default_factory=dict)
    sorted_by_place: list[str] = field(default_factory=list)
