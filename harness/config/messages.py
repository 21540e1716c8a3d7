"""Turns the errors of Hydra and OmegaConf into one line that names the value, what is allowed and how to mend it."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from typing import Any

from hydra.errors import MissingConfigException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException

from winnow.harness.config.choices import options
from winnow.harness.config.schema import GROUPS, RunConfig
from winnow.reducers.core.errors import choose

ASK = "see `python run.py --help`"


def one_line(error: BaseException) -> str:
    """Describe a configuration error in one line."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, choice = error.missing_cfg_file.partition("/")
        if group in GROUPS:
            return f"unknown {group} '{choice}': {choose(choice, options(group))}"
    cause = error if isinstance(error, OmegaConfBaseException) else error.__cause__
    if isinstance(cause, OmegaConfBaseException):
        return _omegaconf(cause)
    text = str(error)
    if several := re.search(r"Ambiguous value for argument '(.*)'", text):
        return _several(several[1])
    if isinstance(error, OverrideParseException):
        return _grammar(error.override, text)
    if swept := re.match(r"Sweep parameters '(.*)' requires --multirun", text):
        return f"{swept[1]} stands for several values: say -m to run each of them, or give one"
    missing = re.match(r"Could not override '(.*?)'", text)
    if missing and "No match in the defaults list" in text:
        return unknown_option(missing[1].partition("@")[0])
    return f"{' '.join(text.split())} ({ASK})"


def _several(word: str) -> str:
    key, _, value = word.partition("=")
    point = f", or {key}={value.replace(',', '.')} for one number" if re.fullmatch(r"\d+,\d+", value) else ""
    return f"{word} stands for several values: say -m to run each, {key}=[{value}] for a list{point}"


def _grammar(word: str, text: str) -> str:
    """Say of a word that Hydra cannot read what is wrong with it, and how it is written."""
    key, _, value = word.partition("=")
    if "=" in value or "#" in value:
        return f"{word} holds a character that needs quotes: say '{key}=\"{value}\"', with both kinds of them"
    return f"{word}: {' '.join(text.split('See https', maxsplit=1)[0].split())} ({ASK})"


def _omegaconf(error: OmegaConfBaseException) -> str:
    key = str(error.full_key or error.key or "")
    text = str(error).splitlines()[0]
    if re.search(r"not in '|not in struct", text):
        node: Any = error.parent_node
        known = [str(name) for name in node if not str(name).startswith("_")] if node is not None else []
        if key.startswith("schedule.") and known == ["kind"]:
            return f"this method has no schedule that {key} could set: leave {key} out, in a sweep by a plan of its own"
        return unknown_option(key, known)
    wrong = re.match(r"Value '(.*)' of type '\w+' could not be converted to (\w+)", text)
    if wrong:
        return f"{key}={wrong[1]} is not allowed: give a value of type {wrong[2].lower()}"
    if "Cannot merge DictConfig with" in text or "is not a subclass of" in text:
        parent: Any = error.parent_node
        inner = parent if error.key is None else parent.get(error.key)
        names = " or ".join(f"{key}.{name}=…" for name in inner or ())
        return f"{key} is no single value, it holds several: say {names}"
    if "is not a ListConfig" in text:
        return f"{key} takes a list: say {key}=[…]"
    if "Missing mandatory value" in text:
        return f"{key} is missing: say {key}=…"
    return f"{key}: {text}" if key else text


def unknown_option(key: str, known: list[str] | None = None) -> str:
    """Say that there is no such option, and which there are."""
    if key == "hardware":
        return "hardware is no setting of runs: it belongs to `winnow cost hardware=…`, which models times and memory"
    parent, _, name = key.rpartition(".")
    choices = known or (_fields(RunConfig) if not parent else [])
    where = f" of {parent}" if parent else ""
    return f"unknown option '{name}'{where}: {choose(name, sorted(choices)) if choices else ASK}"


def _fields(cls: type) -> list[str]:
    return [f.name for f in fields(cls)] if is_dataclass(cls) else []
