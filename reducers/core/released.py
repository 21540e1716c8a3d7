"""What methods have in common whose defaults are the choices of their released code."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Released:
    """Takes ``variant=official``, as the methods do that mend something, so that it can be asked of each alike.

    Parameters
    ----------
    variant : {"official"}
        As released, which is what the defaults are. By keyword alone.
    """

    variant: Literal["official"] = field(default="official", kw_only=True)
