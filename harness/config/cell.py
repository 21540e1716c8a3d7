"""One cell of a table: a model, a method and tasks, with every setting resolved that needs no torch to resolve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from winnow.harness.config.downsample import downsample
from winnow.harness.config.schema import (
    BudgetConfig,
    DownsampleConfig,
    MediaConfig,
    ModelConfig,
    NominalConfig,
    ShareConfig,
    StressConfig,
    TasksConfig,
    TrackerConfig,
)


@dataclass(frozen=True)
class Method:
    """A reducer as it was asked for.

    Attributes
    ----------
    name : str
        The choice, as in ``reducer=<name>``.
    target : str
        ``module:Class``.
    args : dict
        Its fields, without ratio and schedule.
    schedule : dict or None
        ``kind`` and the numbers of that kind.
    ratio : float or None
        Retention ratio; None where the method takes none or its native knobs decide.
    takes_ratio : bool
        Whether `ratio` is one of its fields.
    seeded : bool
        Whether it draws at random.
    parts : tuple of Method
        The methods that it consists of.
    checkpoints : tuple of str
        Which of its fields name weights.
    """

    name: str
    target: str
    args: dict[str, Any]
    schedule: dict[str, Any] | None = None
    ratio: float | None = None
    takes_ratio: bool = False
    seeded: bool = False
    parts: tuple[Method, ...] = ()
    checkpoints: tuple[str, ...] = ()

    @property
    def loads(self) -> bool:
        """Whether it, or a part of it, names weights beside the model's."""
        named = any(self.args.get(name) is not None for name in self.checkpoints)
        return named or any(part.loads for part in self.parts)


@dataclass(frozen=True)
class Cell:
    """What one run measures, and where it is kept."""

    model: ModelConfig
    method: Method
    tasks: TasksConfig
    budget: BudgetConfig
    results: Path
    seed: int = 0
    batch_size: int = 16
    limit: int | None = None
    force: bool = False
    downsample: DownsampleConfig = field(default_factory=DownsampleConfig)
    stress: StressConfig = field(default_factory=StressConfig)
    media: MediaConfig = field(default_factory=MediaConfig)
    share: ShareConfig = field(default_factory=ShareConfig)
    tracker: TrackerConfig = field(default_factory=TrackerConfig)

    def plain(self) -> dict[str, Any]:
        """The cell as files hold it, in types that JSON and YAML know; `from_plain` reads it."""
        return asdict(self) | {"results": str(self.results)}

    @property
    def seen(self) -> ModelConfig:
        """The model with what it is given to see, after downsampling."""
        return downsample(self.model, self.downsample)

    @property
    def group(self) -> str:
        """Equal for cells that can be answered together: they share the model, the documents and the batches."""
        return repr((self.seen, self.tasks, self.limit, self.batch_size, self.stress, self.media, self.share))

    @property
    def has_budget(self) -> bool:
        """Whether a compute budget takes the place of the ratio."""
        return self.budget.asked is not None

    @property
    def asked(self) -> str:
        """What was asked for, as tables print it."""
        if self.budget.asked is not None:
            kind, value = self.budget.asked
            return f"{kind} {value:g}{' by tile' if kind == 'tokens' and self.budget.scope == 'tile' else ''}"
        return "" if self.method.ratio is None else f"{self.method.ratio:g}"


def from_plain(plain: Mapping[str, Any]) -> Cell:
    """Read a cell as `Cell.plain` gave it, from a manifest or a run's settings."""
    model = plain["model"]
    made = {
        "model": ModelConfig(**model | {"nominal": NominalConfig(**model["nominal"])}),
        "method": _method(plain["method"]),
        "tasks": TasksConfig(**plain["tasks"]),
        "budget": BudgetConfig(**plain["budget"]),
        "downsample": DownsampleConfig(**plain["downsample"]),
        "stress": StressConfig(**plain.get("stress", {})),
        "media": MediaConfig(**plain.get("media", {})),
        "share": ShareConfig(**plain.get("share", {})),
        "tracker": TrackerConfig(**plain.get("tracker", {})),
        "results": Path(plain["results"]),
    }
    return Cell(**dict(plain) | made)


def _method(plain: Mapping[str, Any]) -> Method:
    made = {"parts": tuple(map(_method, plain["parts"])), "checkpoints": tuple(plain.get("checkpoints", ()))}
    return Method(**dict(plain) | made)
