"""Completes the words of commands that take overrides, as shells ask for them."""

from __future__ import annotations

import os


def complete(incomplete: str) -> list[str]:
    """Complete a group, or one of its choices, the last of several where commas stand between them.

    A group that is the only one to fit comes with its choices: they begin alike, so that a shell writes the group and
    no blank behind it.

    Parameters
    ----------
    incomplete : str
        What the shell takes for the current word.
    """
    from winnow.harness.config.choices import options
    from winnow.harness.config.schema import GROUPS

    before = _taken_off()
    group, chosen, value = f"{before}{incomplete}".partition("=")
    if not chosen:
        names = [name for name in GROUPS if name.startswith(group)]
        return [f"{name}=" for name in names] if len(names) != 1 else complete(f"{names[0]}=")
    if group not in GROUPS:
        return []
    given, comma, last = value.rpartition(",")
    fitting = [f"{given}{comma}{choice}" for choice in options(group) if choice.startswith(last)]
    return fitting if before else [f"{group}={choice}" for choice in fitting]


def _taken_off() -> str:
    """What bash, which ends a word at ``=``, takes off the current one: ``reducer=``; nothing in other shells."""
    words, at = os.environ.get("COMP_WORDS", "").split("\n"), int(os.environ.get("COMP_CWORD") or 0)
    current = words[at] if at < len(words) else ""
    if current == "=":
        return f"{words[at - 1]}="
    return f"{words[at - 2]}=" if current and at > 1 and words[at - 1] == "=" else ""
