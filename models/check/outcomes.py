"""What an invariant says of a case, whatever anybody's code may raise."""

from __future__ import annotations

from winnow.models.check.cases import Case
from winnow.models.check.invariants import INVARIANTS, InvariantError
from winnow.reducers.core.errors import UnsupportedError, WinnowError


def outcome(invariant: str, case: Case) -> str | None:
    """Tell the fault, empty if the invariant holds; None if the engine refuses the case.

    Parameters
    ----------
    invariant : str
        One of `winnow.models.check.INVARIANTS`.
    case : Case
        A method on a model with a batch of prompts.
    """
    try:
        INVARIANTS[invariant](case)
    except UnsupportedError:
        return None
    except (InvariantError, WinnowError) as error:
        return str(error)
    except Exception as error:  # anybody's code may raise anything
        return f"{type(error).__name__}: {error}"
    return ""
