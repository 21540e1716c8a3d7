"""Errors of Hydra and OmegaConf in one line, from errors made by hand."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from hydra.errors import HydraException, MissingConfigException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from winnow.harness.config.messages import ASK, one_line, unknown_option
from winnow.harness.config.schema import BudgetConfig, TasksConfig


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MissingConfigException("m", "reducer/fastvv"), "unknown reducer 'fastvv': did you mean fastv? choose "),
        (MissingConfigException("there is\n no such", "other/x"), f"there is no such ({ASK})"),
        (MissingConfigException("no file"), f"no file ({ASK})"),
        (HydraException("Ambiguous value for argument 'limit=4,8'\n..."),
         "limit=4,8 stands for several values: say -m to run each, limit=[4,8] for a list, or limit=4.8 for one"),
        (HydraException("Ambiguous value for argument 'a=b,c'"),
         "a=b,c stands for several values: say -m to run each, a=[b,c] for a list"),
        (HydraException("Sweep parameters 'seed' requires --multirun"),
         "seed stands for several values: say -m to run each of them, or give one"),
        (HydraException("Could not override 'modell@x'.\nNo match in the defaults list."),
         "unknown option 'modell': did you mean model? choose "),
        (HydraException("Could not override 'modell'. Key is not in struct"), "Could not override 'modell'. Key"),
        (ValueError("any\n other"), f"any other ({ASK})"),
    ],
)  # fmt: skip
def test_an_error_of_hydra(error: Exception, said: str) -> None:
    found = one_line(error)
    assert found.startswith(said) and "\n" not in found


@dataclass
class Kind:
    """A method's schedule that has no numbers."""

    kind: str = ""


@dataclass
class Scheduled:
    """Settings with two groups of one name."""

    schedule: Kind = field(default_factory=Kind)
    other: Kind = field(default_factory=Kind)


def broken(cls: type, key: str, value: Any) -> OmegaConfBaseException:
    node = OmegaConf.structured(cls)
    try:
        OmegaConf.update(node, key, value)
    except OmegaConfBaseException as error:
        return error
    raise AssertionError(f"{key}={value} is taken")


@pytest.mark.parametrize(
    ("cls", "key", "value", "said"),
    [
        (BudgetConfig, "mean", "half", "mean=half is not allowed: give a value of type float"),
        (BudgetConfig, "meen", 1, "unknown option 'meen': did you mean mean? choose flops, mean, scope, tokens, tol"),
        (TasksConfig, "tasks", 3, "tasks takes a list: say tasks=[…]"),
        (
            Scheduled,
            "schedule.k",
            2,
            "this method has no schedule that schedule.k could set: "
            "leave schedule.k out, in a sweep by a plan of its own",
        ),
        (Scheduled, "other.k", 2, "unknown option 'k' of other: choose kind"),
    ],
)
def test_an_error_of_omegaconf(cls: type, key: str, value: Any, said: str) -> None:
    error = broken(cls, key, value)
    assert one_line(error) == said
    wrapped = HydraException("outer")
    wrapped.__cause__ = error
    assert one_line(wrapped) == said


def test_what_is_missing_is_asked_for() -> None:
    node = OmegaConf.structured(TasksConfig)
    with pytest.raises(OmegaConfBaseException) as caught:
        node.name  # noqa: B018
    assert one_line(caught.value) == "name is missing: say name=…"


@pytest.mark.parametrize(
    ("key", "known", "said"),
    [
        ("reducer.rowz", ["which", "rows"], "unknown option 'rowz' of reducer: did you mean rows? choose rows, which"),
        ("a.b.c", None, f"unknown option 'c' of a.b: {ASK}"),
        ("limitt", None, "unknown option 'limitt': did you mean limit? choose batch_size, budget,"),
        ("hardware", None, "hardware is no setting of runs: it belongs to `winnow cost hardware=…`, which models"),
    ],
)
def test_an_unknown_option(key: str, known: list[str] | None, said: str) -> None:
    assert unknown_option(key, known).startswith(said)
