"""Whether the package `winnow` is this project's: another one of that name is on the public index."""

from __future__ import annotations

import winnow
from winnow.reducers.core.errors import WinnowError


def check_ours() -> None:
    """Refuse another project's package that was installed over this one.

    Raises
    ------
    WinnowError
        Says how to mend it.
    """
    if not hasattr(winnow, "METHODS"):
        raise WinnowError(
            f"{winnow.__file__} is another project's package: pip uninstall winnow, "
            "then pip install --force-reinstall winnow-vlm"
        )
