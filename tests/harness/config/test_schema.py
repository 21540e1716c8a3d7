"""What is not said means the same on the command line and in a cell."""

from dataclasses import fields
from typing import Any

import pytest
from omegaconf import MISSING
from values import usual

from winnow.harness.config.cell import Cell
from winnow.harness.config.choices import options
from winnow.harness.config.schema import (
    GROUPS,
    BudgetConfig,
    DownsampleConfig,
    MediaConfig,
    ModelConfig,
    NominalConfig,
    RunConfig,
    ShareConfig,
    StressConfig,
    TasksConfig,
    TrackerConfig,
    describe_groups,
)

NOMINAL = NominalConfig(MISSING, MISSING, MISSING)
DEFAULTS: dict[type, dict[str, Any]] = {
    NominalConfig: {"frames": MISSING, "tokens_per_frame": MISSING, "text": MISSING},
    ModelConfig: {
        "name": MISSING, "family": MISSING, "repo": MISSING, "weights": "pretrained", "scale": "full", "revision": None,
        "dtype": "float32", "device": "auto", "attn": "sdpa", "frames": MISSING, "max_pixels": None, "pixels": 1,
        "quant": None, "positions": None, "own_pruning": None, "trust_remote_code": None, "has_cls": MISSING,
        "mlp_add": True, "nominal": NOMINAL, "arch": {},
    },
    TasksConfig: {
        "name": MISSING, "tasks": MISSING, "folder": None, "prepare": None, "data": "hub", "prompt": None,
        "relevance": False, "metric": None, "failed_above": 0.5, "max_new_tokens": None, "generation": {},
    },
    BudgetConfig: {"mean": None, "flops": None, "tokens": None, "scope": "picture", "tol": 0.02},
    DownsampleConfig: {"frames": 1, "pixels": 1},
    StressConfig: {"order": None, "media": None, "question": "own"},
    MediaConfig: {"workers": None, "ahead_mb": 2048, "accept_damaged": False},
    ShareConfig: {"name": "trunk", "memory": None},
    TrackerConfig: {"name": "none", "project": "winnow", "mode": "offline", "place": "results/trackers"},
    RunConfig: {
        "model": MISSING, "reducer": MISSING, "schedule": MISSING, "tasks": MISSING, "ratio": None,
        "budget": BudgetConfig(None, None, None, "picture", 0.02), "downsample": DownsampleConfig(1, 1),
        "stress": StressConfig(None, None, "own"), "media": MediaConfig(None, 2048, False), "share": MISSING,
        "tracker": MISSING, "seed": 0, "batch_size": 16, "limit": None, "results": MISSING, "force": False, "table": {},
        "only": None, "smoke": False, "controls": False,
    },
}  # fmt: skip


@pytest.mark.parametrize("cls", DEFAULTS, ids=lambda cls: cls.__name__)
def test_what_every_key_means_where_nothing_is_said(cls: type) -> None:
    assert usual(cls, frozen=False) == DEFAULTS[cls]


def test_the_help_text_has_a_line_for_each_group_in_a_column() -> None:
    lines = describe_groups().splitlines()
    assert [line.split()[0] for line in lines] == [*GROUPS] and {line[2 + 12 :].split(", ")[0] for line in lines} <= {
        options(group)[0] for group in GROUPS
    }
    assert f"  share       {', '.join(options('share'))}" in lines


def test_defaults_of_runs_and_of_cells_are_one() -> None:
    runs, cells = ({field.name: field.default for field in fields(cls)} for cls in (RunConfig, Cell))
    shared = ("seed", "batch_size", "limit", "force")
    assert {name: runs[name] for name in shared} == {name: cells[name] for name in shared}
    assert [runs[name] for name in shared] == [0, 16, None, False]
    assert (runs["smoke"], runs["controls"], runs["only"], runs["ratio"]) == (False, False, None, None)


@pytest.mark.parametrize(
    ("budget", "asked"),
    [
        (BudgetConfig(), None), (BudgetConfig(mean=0.5), ("mean", 0.5)), (BudgetConfig(flops=0.7), ("flops", 0.7)),
        (BudgetConfig(tokens=9), ("tokens", 9)),
    ],
)  # fmt: skip
def test_the_budget_that_was_asked(budget: BudgetConfig, asked: Any) -> None:
    assert budget.asked == asked and (budget.scope, budget.tol) == ("picture", 0.02)


def test_nothing_is_less_and_nothing_is_stressed_unless_it_is_said() -> None:
    assert vars(DownsampleConfig()) == {"frames": 1, "pixels": 1}
    assert [StressConfig(question=asked).turns for asked in ("own", "other", "second")] == [1, 1, 2]
    assert StressConfig().words == {} and StressConfig(order=0, question="x").words == {"order": 0, "question": "x"}
