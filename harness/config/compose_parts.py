"""The two methods of ``reducer=compose``, each configured as if it stood alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from winnow.harness.config.choices import listed, options
from winnow.harness.config.declared import declared
from winnow.harness.config.messages import unknown_option
from winnow.harness.config.schedules import KINDS
from winnow.reducers.core.errors import WinnowError, choose

COMPOSE, TARGET = "compose", "winnow.reducers.compose:Compose"
PARTS = ("entrance", "llm")
OTHERS = (COMPOSE, "custom", "same")
"""What cannot be a part."""
SCHEDULE = "override /schedule@_global_.schedule"


def expand(at: str, node: dict[str, Any]) -> dict[str, Any]:
    """Fill up what was said of one part with the defaults of its YAML.

    Parameters
    ----------
    at : str
        ``entrance`` or ``llm``.
    node : dict
        Its `name`, and whatever of its parameters, `ratio` and `schedule` is not the default.

    Returns
    -------
    dict
        The keys ``reducer``, ``ratio`` and ``schedule``, as a configuration with this reducer alone has them.

    Raises
    ------
    WinnowError
        For unknown methods and keys.
    """
    name, choices = node.get("name"), [choice for choice in options("reducer") if choice not in OTHERS]
    if name not in choices:
        raise WinnowError(f"unknown reducer.{at}.name '{name}': {choose(name, choices)}")
    method = listed("reducer", name)
    default = listed("schedule", dict(*method.pop("defaults", [{}])).get(SCHEDULE, "none"))
    method.pop("like", None)
    known = [key for key in method if not key.startswith("_")]
    own = declared(method["_target_"])
    known += ["name", *(["ratio"] if own.takes_ratio else []), *(["schedule"] if own.schedules else [])]
    for key in node:
        if key not in known:
            raise WinnowError(unknown_option(f"reducer.{at}.{key}", known))
    given = {key: value for key, value in node.items() if key not in ("name", "ratio", "schedule")}
    schedule = _schedule(at, node.get("schedule"), default, own.schedules)
    return {"reducer": method | given, "ratio": node.get("ratio"), "schedule": schedule}


def _schedule(at: str, given: Any, default: dict[str, Any], kinds: Sequence[str]) -> dict[str, Any]:
    """The default schedule, another one by its name, or numbers on top of the default of their kind."""
    if given is None:
        return default
    if isinstance(given, str) and given in options("schedule"):
        return listed("schedule", given)
    if not isinstance(given, dict):
        raise WinnowError(f"unknown reducer.{at}.schedule '{given}': {choose(given, options('schedule'))}")
    numbers = {key for key in given if key != "kind"}
    offered = [given["kind"]] if "kind" in given else [default["kind"], *kinds]
    kind = next((kind for kind in offered if numbers <= set(KINDS.get(kind, ()))), offered[0])
    base = default if kind == default["kind"] else listed("schedule", kind) if kind in KINDS else {}
    return base | {"kind": kind} | given
