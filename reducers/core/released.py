"""The word ``variant=official``: of methods whose defaults are as released, and of those that mend something."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Released:
    """Takes ``variant=official``, as the methods do that mend something, so that it can be asked of each alike.

    Parameters
    ----------
    variant : {"official"}
        As released, which is what the defaults are. By keyword alone.
    """

    variant: Literal["official"] = field(default="official", kw_only=True)


def settle(method: Any, **choices: tuple[object, object]) -> None:
    """Decide the fields of a frozen method about which nothing is said: ``name=(mended, official)``."""
    for name, of_variant in choices.items():
        if getattr(method, name) is None:
            object.__setattr__(method, name, of_variant[method.variant == "official"])
