"""Errors that are the user's to mend: one clear line each, never a traceback."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class WinnowError(Exception):
    """A mistake in the input: the message names the value, what is allowed and how to mend it."""


class UnsupportedError(WinnowError):
    """A combination that Winnow refuses because it would be silently wrong; the message names what works."""


def choose(wrong: object, known: Iterable[str], between: str = ", ") -> str:
    """Say what there is to choose from, the nearest to a wrong word first: one that it begins, or one spelt alike.

    Parameters
    ----------
    wrong : object
        What was given.
    known : iterable of str
        What is allowed, in the order in which it is listed.
    between : str
        Stands between two choices.
    """
    choices = [*known]
    near = [name for name in choices if len(str(wrong)) > 2 and str(name).startswith(str(wrong))]
    near += get_close_matches(str(wrong), choices, 1)
    return f"{f'did you mean {near[0]}? ' if near else ''}choose {between.join(choices)}"
