"""From Hydra's configuration to a cell: checks everything that can be checked without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from winnow.harness.common.find_run import find_run
from winnow.harness.config.cell import Cell, Method
from winnow.harness.config.choices import listed, rounded
from winnow.harness.config.compose_parts import COMPOSE, PARTS, TARGET, expand
from winnow.harness.config.declared import Declared, declared
from winnow.harness.config.downsample import check_downsample
from winnow.harness.config.messages import unknown_option
from winnow.harness.config.schedules import KINDS, choose_schedule
from winnow.harness.config.schema import (
    BudgetConfig,
    DownsampleConfig,
    MediaConfig,
    ModelConfig,
    RunConfig,
    ShareConfig,
    StressConfig,
    TasksConfig,
    TrackerConfig,
)
from winnow.models.loading.spec import ATTENTIONS, DTYPES, POSITIONS, QUANTISED, SCALES, check_choice, check_device_word
from winnow.reducers.core.errors import WinnowError

if TYPE_CHECKING:
    from winnow.harness.config.expand import Job

PICTURE, TILE = SCOPES = ("picture", "tile")
"""Over what `BudgetConfig.tokens` counts."""
STRESSED = ("reencode", "shift", "jitter")
"""How the pixels may change: see `winnow.harness.data.stress`."""
QUESTIONS = ("own", "other", "second")
TRACKERS = ("wandb", "mlflow")
CUSTOM, SAME = "custom", "same"
REPLAY, REPEAT = REPLAYS = ("winnow.reducers.replay:Replay", "winnow.reducers.same:Same")
"""What ``reducer.like`` makes of a control: as many tokens as another run had, or the very same."""


@dataclass(frozen=True)
class Settings:
    """A configuration in plain types, checked as far as the schema goes: reading it takes most of the time."""

    plain: dict[str, Any]
    model: ModelConfig
    tasks: TasksConfig
    budget: BudgetConfig
    downsample: DownsampleConfig
    stress: StressConfig
    media: MediaConfig
    share: ShareConfig
    tracker: TrackerConfig


def compose(config: DictConfig, reducer: str) -> Cell:
    """Resolve one configuration.

    Parameters
    ----------
    config : DictConfig
        As Hydra composed it.
    reducer : str
        The choice in the group ``reducer``.

    Raises
    ------
    WinnowError
        Names the value, what is allowed and how to mend it.
    """
    return cell_of(settings(config, reducer), reducer)


def settings(config: DictConfig, reducer: str) -> Settings:
    """Read a configuration; arguments and errors as of `compose`."""
    _check_keys(config, RunConfig)
    _check_reducer_keys(config.reducer, reducer)
    plain: dict[str, Any] = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)  # type: ignore[assignment]
    model: ModelConfig = OmegaConf.to_object(config.model)  # type: ignore[assignment]
    tasks: TasksConfig = OmegaConf.to_object(config.tasks)  # type: ignore[assignment]
    budget = BudgetConfig(**rounded(vars(OmegaConf.to_object(config.budget))))
    media: MediaConfig = OmegaConf.to_object(config.media)  # type: ignore[assignment]
    _check_model(model)
    smaller = check_downsample(OmegaConf.to_object(config.downsample), model)  # type: ignore[arg-type]
    share = _share(OmegaConf.to_object(config.share))  # type: ignore[arg-type]
    stress = check_stress(OmegaConf.to_object(config.stress))  # type: ignore[arg-type]
    tracker = _tracker(OmegaConf.to_object(config.tracker))  # type: ignore[arg-type]
    return Settings(rounded(plain), model, tasks, budget, smaller, stress, media, share, tracker)


def cell_at(job: Job, known: dict[tuple[int, tuple[str, ...]], Settings]) -> Cell:
    """The cell of a job; jobs that differ in numbers alone share what was read, which is added to `known`."""
    reducer, alike = str(job.choices["reducer"]), (id(job.base), job.rest)
    if alike not in known:
        known[alike] = settings(job.without_numbers(), reducer)
    return cell_of(known[alike], reducer, job.numbers)


def cell_of(found: Settings, reducer: str, numbers: Mapping[str, Any] | None = None) -> Cell:
    """Make a cell of settings.

    Parameters
    ----------
    found : Settings
    reducer : str
        The choice in the group ``reducer``.
    numbers : mapping or None
        Values of `ratio`, `seed`, `limit` and `batch_size` in the place of those of the settings.
    """
    plain = found.plain | rounded(dict(numbers or {}))
    model, tasks, budget, smaller = found.model, found.tasks, found.budget, found.downsample
    _check_counts(plain, model)
    known = _declared(reducer, plain["reducer"])
    _check_relevance(known, reducer, tasks)
    if known.needs_relevance and smaller != DownsampleConfig():
        raise WinnowError(f"reducer={reducer} knows which tokens matter for the whole input only: leave downsample out")
    if reducer == COMPOSE:
        method, budget = _composed(plain, tasks, check_budget(budget, plain["ratio"]), depth_of(model))
    elif reducer == SAME and plain["reducer"]["like"] is None:
        raise WinnowError("reducer=same keeps the tokens that another run kept: name it with reducer.like=RUN")
    elif plain["reducer"].get("like") is not None:
        method, budget = _replay(reducer, plain), BudgetConfig()
    else:
        method, budget = _method(reducer, plain, budget, depth_of(model))
    more = {name: plain[name] for name in ("seed", "batch_size", "limit", "force")}
    more |= {"stress": found.stress, "media": found.media, "share": found.share, "tracker": found.tracker}
    return Cell(model, method, tasks, budget, Path(plain["results"]), downsample=smaller, **more)


def check_stress(stress: StressConfig) -> StressConfig:
    """Refuse what is no way to change the input."""
    check_choice("stress.media", stress.media or "null", ("null", *STRESSED))
    check_choice("stress.question", stress.question, QUESTIONS)
    return stress


def _share(share: ShareConfig) -> ShareConfig:
    if share.memory is not None and not share.memory > 0:
        raise WinnowError(f"share.memory={share.memory:g} is not allowed: choose gigabytes, above 0, or null")
    return share


def _tracker(tracker: TrackerConfig) -> TrackerConfig:
    """Refuse a tracker whose library is not here, before anything is computed."""
    check_choice("tracker.name", tracker.name, ("none", *TRACKERS))
    check_choice("tracker.mode", tracker.mode, ("online", "offline"))
    if tracker.name != "none" and find_spec(tracker.name) is None:
        raise WinnowError(f'tracker={tracker.name} is not installed: pip install "winnow-vlm[trackers]"')
    return tracker


def _declared(name: str, node: dict[str, Any]) -> Declared:
    """What is known of a method before it is imported; of anybody's own class, that it may be anything."""
    if name == CUSTOM:
        return Declared(tuple(KINDS), takes_ratio=True, seeded=True)
    return declared(node["_target_"]) if "_target_" in node else Declared()


def _method(name: str, plain: dict[str, Any], budget: BudgetConfig, depth: int | None) -> tuple[Method, BudgetConfig]:
    """Resolve the method and the budget; both ratio and budget are dropped for methods that take none."""
    node = plain["reducer"]
    args = {key: value for key, value in node.items() if not key.startswith("_") and key != "like"}
    target = node.get("_target_")
    if name == CUSTOM:
        target, args = args["target"], args["args"]
    known = _declared(name, node)
    schedule = choose_schedule(name, known.schedules, plain["schedule"], depth)
    takes = known.takes_ratio
    asked = check_share(plain["ratio"], "ratio")
    budget = check_budget(budget, asked) if takes else BudgetConfig()
    ratio = None
    native = next((key for key in known.native if args[key] is not None), None)
    if takes and native and budget.asked is not None:
        raise WinnowError(f"a budget solves the ratio, but reducer.{native}={args[native]} fixes it: give only one")
    if takes and not native and budget.asked is None:
        ratio = asked if asked is not None else known.ratio
    return Method(name, target, args, schedule, ratio, takes, known.seeded, checkpoints=known.checkpoints), budget


def _replay(name: str, plain: dict[str, Any]) -> Method:
    """Resolve ``reducer.like``: that run says how many tokens are kept where; ratio and schedule are dropped."""
    node, defaults = plain["reducer"], listed("reducer", name)
    for key in node:
        if key != "like" and node[key] != defaults.get(key, node[key]):
            raise WinnowError(f"reducer.like and reducer.{key}={node[key]} exclude each other: give only one of them")
    run = find_run(node["like"], Path(plain["results"]), "reducer.like=", finished=True).name
    if name == SAME:
        return Method(name, REPEAT, {"like": run})
    chosen = {} if name == "random" else {"by": name}
    return Method(name, REPLAY, {"like": run} | chosen, seeded=name == "random")


def _composed(
    plain: dict[str, Any], tasks: TasksConfig, budget: BudgetConfig, depth: int | None
) -> tuple[Method, BudgetConfig]:
    """Resolve the two parts, each as if it stood alone."""
    given = _given(plain["ratio"], budget)
    for name, value in given.items():
        if value is not None:
            raise WinnowError(
                f"{name}={value} is not for two methods: say reducer.entrance.ratio and reducer.llm.ratio"
            )
    choose_schedule(COMPOSE, (), plain["schedule"])
    parts = []
    for at in PARTS:
        node = expand(at, plain["reducer"][at])
        name = plain["reducer"][at]["name"]
        _check_relevance(_declared(name, node["reducer"]), name, tasks)
        parts.append(_method(name, node, BudgetConfig(), depth)[0])
    return Method(COMPOSE, TARGET, {}, seeded=any(p.seeded for p in parts), parts=tuple(parts)), BudgetConfig()


def check_share(value: object, name: str) -> float | None:
    """Refuse what is no share in (0, 1]; None stays None."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
        raise WinnowError(f"{name}={value} is not allowed: choose a share, 0 < {name} <= 1, or null")
    return float(value)


def _given(ratio: object, budget: BudgetConfig) -> dict[str, object]:
    """What may say how much is kept, by the names that users know."""
    return {"ratio": ratio} | {f"budget.{kind}": value for kind, value in budget.kinds.items()}


def check_budget(budget: BudgetConfig, ratio: float | None) -> BudgetConfig:
    """Refuse budgets out of their range, and more than one of ratio, budget.mean, budget.flops and budget.tokens."""
    given = _given(ratio, budget)
    chosen = [f"{name}={value}" for name, value in given.items() if value is not None]
    if len(chosen) > 1:
        raise WinnowError(f"{' and '.join(chosen)} exclude each other: give only one of them")
    check_share(budget.mean, "budget.mean")
    check_share(budget.flops, "budget.flops")
    if budget.tokens is not None and budget.tokens < 1:
        raise WinnowError(f"budget.tokens={budget.tokens} is not allowed: choose a number of visual tokens, 1 or more")
    if budget.scope not in SCOPES:
        raise WinnowError(f"budget.scope={budget.scope} is not allowed: choose {' | '.join(SCOPES)}")
    if not budget.tol >= 0:
        raise WinnowError(f"budget.tol={budget.tol} is not allowed: choose 0 or more")
    return budget


def depth_of(model: ModelConfig) -> int | None:
    """Decoder layers of the LLM, as its YAML says; a tiny one has 6 unless it says so."""
    tiny = model.weights == "random" and model.scale == "tiny"
    return model.arch.get("tiny_layers", 6) if tiny else model.arch.get("layers")


def _check_model(model: ModelConfig) -> None:
    """Refuse words of the model that loading it would refuse, before it takes seconds to get there."""
    check_choice("model.dtype", model.dtype, DTYPES)
    check_choice("model.scale", model.scale, SCALES)
    check_choice("model.attn", model.attn, ATTENTIONS)
    check_device_word(model.device)
    check_choice("model.quant", model.quant or "null", ("null", *QUANTISED))
    check_choice("model.positions", model.positions or "null", ("null", *POSITIONS))


def _check_counts(plain: dict[str, Any], model: ModelConfig) -> None:
    counts = {"batch_size": plain["batch_size"], "model.frames": model.frames, "limit": plain["limit"]}
    for name, value in counts.items():
        if value is not None and value < 1:
            raise WinnowError(f"{name}={value} is not allowed: choose 1 or more")
    if not plain["tasks"]["tasks"]:
        raise WinnowError("tasks.tasks=[] is empty: name at least one lmms-eval task")


def _check_relevance(known: Declared, reducer: str, tasks: TasksConfig) -> None:
    """Refuse documents that a method cannot work on, before anything is loaded."""
    if known.needs_relevance and not tasks.relevance:
        raise WinnowError(
            f"reducer={reducer} needs documents that say which visual tokens matter, which tasks={tasks.name} lacks: "
            "choose a pico task"
        )


def _check_keys(node: DictConfig, schema: type, prefix: str = "") -> None:
    """Refuse keys that the schema does not know, which Hydra lets pass when they are added with `+`."""
    known = {f.name: f.type for f in fields(schema)}
    for key in map(str, node):
        if key not in known:
            raise WinnowError(unknown_option(f"{prefix}{key}", list(known)))
        value = node._get_node(key)
        kind = OmegaConf.get_type(value)
        if isinstance(value, DictConfig) and kind is not None and is_dataclass(kind):
            _check_keys(value, kind, f"{prefix}{key}.")


def _check_reducer_keys(node: DictConfig, choice: str) -> None:
    """Refuse keys that the reducer's YAML does not list."""
    allowed = listed("reducer", choice)
    for key in map(str, node):
        if key not in allowed:
            parameters = [name for name in allowed if not name.startswith("_") and name != "defaults"]
            hint = " (its own parameters go into reducer.args)" if choice == CUSTOM else ""
            raise WinnowError(unknown_option(f"reducer.{key}", parameters) + hint)
