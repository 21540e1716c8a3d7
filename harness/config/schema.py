"""The types of the configuration, which Hydra checks every YAML and every override against."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, OmegaConf

from winnow.harness.config.choices import options, register_installed

GROUPS = ("model", "reducer", "schedule", "tasks", "share", "tracker", "experiment", "debug")


@dataclass
class NominalConfig:
    """The prompt that budgets and plans are computed for."""

    frames: int = MISSING
    tokens_per_frame: int = MISSING
    text: int = MISSING


@dataclass
class ModelConfig:
    """A model; see `configs/model`."""

    name: str = MISSING
    family: str = MISSING
    repo: str = MISSING
    weights: str = "pretrained"
    scale: str = "full"
    revision: str | None = None
    dtype: str = "float32"
    device: str = "auto"
    attn: str = "sdpa"
    frames: int = MISSING
    max_pixels: int | None = None
    pixels: int = 1
    quant: str | None = None
    positions: str | None = None
    own_pruning: bool | None = None
    trust_remote_code: str | None = None
    has_cls: bool = MISSING
    mlp_add: bool = True
    nominal: NominalConfig = field(default_factory=NominalConfig)
    arch: dict[str, Any] = field(default_factory=dict)


@dataclass
class TasksConfig:
    """A set of lmms-eval tasks; see `configs/tasks`."""

    name: str = MISSING
    tasks: list[str] = MISSING
    folder: str | None = None
    prepare: str | None = None
    data: str = "hub"
    prompt: str | None = None
    relevance: bool = False
    metric: str | None = None
    failed_above: float = 0.5
    max_new_tokens: int | None = None
    generation: dict[str, Any] = field(default_factory=dict)


@dataclass
class BudgetConfig:
    """A compute budget instead of a ratio."""

    mean: float | None = None
    flops: float | None = None
    tokens: int | None = None
    scope: str = "picture"
    tol: float = 0.02

    @property
    def asked(self) -> tuple[str, float] | None:
        """The kind that was given, and its value."""
        return next(((kind, value) for kind, value in self.kinds.items() if value is not None), None)

    @property
    def kinds(self) -> dict[str, float | None]:
        """What may be given, by its kind."""
        return {"mean": self.mean, "flops": self.flops, "tokens": self.tokens}


@dataclass
class DownsampleConfig:
    """Less input: the number of frames and the pixel budget are divided by these."""

    frames: int = 1
    pixels: int = 1


@dataclass
class StressConfig:
    """The same input in a way that a method should not mind: for `winnow audit`."""

    order: int | None = None
    media: str | None = None
    question: str = "own"

    @property
    def words(self) -> dict[str, Any]:
        """What is asked for, of what is not the default."""
        return {name: value for name, value in vars(self).items() if value != getattr(type(self), name)}

    @property
    def turns(self) -> int:
        """Questions of a conversation."""
        return 2 if self.question == "second" else 1


@dataclass
class MediaConfig:
    """How videos are read: processes that decode ahead of the model, their memory, what to do with damage."""

    workers: int | None = None
    ahead_mb: int = 2048
    accept_damaged: bool = False


@dataclass
class ShareConfig:
    """What the cells of a group compute together; see `configs/share`. Memory in gigabytes, None: of what is free."""

    name: str = "trunk"
    memory: float | None = None


@dataclass
class TrackerConfig:
    """Where finished runs are kept beside their folder; see `configs/tracker`. `place`: a folder, or a server."""

    name: str = "none"
    project: str = "winnow"
    mode: str = "offline"
    place: str = "results/trackers"


@dataclass
class RunConfig:
    """Everything that `run.py` is told. Reducers and schedules have their own keys and are checked by their YAML."""

    model: ModelConfig = MISSING
    reducer: Any = MISSING
    schedule: Any = MISSING
    tasks: TasksConfig = MISSING
    ratio: Any = None
    budget: BudgetConfig = field(default_factory=BudgetConfig)
    downsample: DownsampleConfig = field(default_factory=DownsampleConfig)
    stress: StressConfig = field(default_factory=StressConfig)
    media: MediaConfig = field(default_factory=MediaConfig)
    share: ShareConfig = MISSING
    tracker: TrackerConfig = MISSING
    seed: int = 0
    batch_size: int = 16
    limit: int | None = None
    results: str = MISSING
    force: bool = False
    table: dict[str, Any] = field(default_factory=dict)
    only: Any = None
    smoke: bool = False
    controls: bool = False


@cache
def register() -> None:
    """Tell Hydra the types, the help text's list of groups, and which keys of reducers are open."""
    store = ConfigStore.instance()
    store.store(name="_schema", node=RunConfig)
    for name, keys in {"custom": ["args"], "compose": ["entrance", "llm"]}.items():
        node = DictConfig({key: DictConfig({}, flags={"struct": False}) for key in keys})
        store.store(group="_schema", name=name, node=node)
    register_installed()
    OmegaConf.register_new_resolver("winnow_groups", describe_groups, replace=True)


def describe_groups() -> str:
    """One line per group with its choices, for the help text."""
    return "".join(f"  {group:<12}{', '.join(options(group))}\n" for group in GROUPS)
