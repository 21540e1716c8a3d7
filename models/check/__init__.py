"""The invariants of the design as code: run by the tests on every method, and on anybody else's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from winnow.models.check.cases import BACKENDS as BACKENDS
    from winnow.models.check.cases import Case as Case
    from winnow.models.check.cases import batches as batches
    from winnow.models.check.cases import tiny_model as tiny_model
    from winnow.models.check.invariants import INVARIANTS as INVARIANTS
    from winnow.models.check.invariants import InvariantError as InvariantError
    from winnow.models.check.outcomes import outcome as outcome

_HOMES = {"INVARIANTS": "invariants", "InvariantError": "invariants", "outcome": "outcomes"} | dict.fromkeys(
    ("BACKENDS", "Case", "batches", "tiny_model"), "cases"
)


def __getattr__(name: str) -> Any:
    """Import on first use, as the oracle alone needs neither pictures nor processors."""
    if name not in _HOMES:
        raise AttributeError(f"module 'winnow.models.check' has no attribute '{name}'")
    import importlib

    return getattr(importlib.import_module(f"winnow.models.check.{_HOMES[name]}"), name)
