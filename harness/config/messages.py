"""Turns the errors of Hydra and OmegaConf into one line that names the value, what is allowed and how to mend it."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from typing import Any

from hydra.errors import MissingConfigException
from omegaconf.errors import OmegaConfBaseException

from winnow.harness.config.choices import options
from winnow.harness.config.schema import GROUPS, RunConfig

ASK = "see `python run.py --help`"


def one_line(error: BaseException) -> str:
    """Describe a configuration error in one line."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, choice = error.missing_cfg_file.rpartition("/")
        if group in GROUPS:
            return f"unknown {group} '{choice}': choose {', '.join(options(group))}"
    cause = error if isinstance(error, OmegaConfBaseException) else error.__cause__
    if isinstance(cause, OmegaConfBaseException):
        return _omegaconf(cause)
    text = str(error)
    missing = re.match(r"Could not override '(.*?)'", text)
    if missing and "No match in the defaults list" in text:
        return unknown_option(missing[1].partition("@")[0])
    return f"{' '.join(text.split())} ({ASK})"


def _omegaconf(error: OmegaConfBaseException) -> str:
    key = str(error.full_key or error.key or "")
    text = str(error).splitlines()[0]
    if re.search(r"not in '|not in struct", text):
        node: Any = error.parent_node
        known = [str(name) for name in node if not str(name).startswith("_")] if node is not None else []
        return unknown_option(key, known)
    wrong = re.match(r"Value '(.*)' of type '\w+' could not be converted to (\w+)", text)
    if wrong:
        return f"{key}={wrong[1]} is not allowed: give a value of type {wrong[2].lower()}"
    if "Missing mandatory value" in text:
        return f"{key} is missing: say {key}=…"
    return f"{key}: {text}" if key else text


def unknown_option(key: str, known: list[str] | None = None) -> str:
    """Say that there is no such option, and which there are."""
    parent, _, name = key.rpartition(".")
    choices = known or (_fields(RunConfig) if not parent else [])
    where = f" of {parent}" if parent else ""
    return f"unknown option '{name}'{where}: choose {', '.join(sorted(choices)) or ASK}"


def _fields(cls: type) -> list[str]:
    return [f.name for f in fields(cls)] if is_dataclass(cls) else []
