"""Names of runs among overrides: hexadecimal ones that consist of digits, perhaps about an ``e``, read as numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence

_LIKE = re.compile(r"\+*reducer(\.\w+)*\.like=")
_NUMBER = re.compile(r"(?<=[=,])(\d+(?:e\d+)?)(?=,|$)")


def named(words: Sequence[str]) -> list[str]:
    """Quote what is a run's name and would become a number: ``reducer.like=531e48820113`` is infinity to Hydra."""
    return [_NUMBER.sub(r"'\1'", word) if _LIKE.match(word) else word for word in words]
