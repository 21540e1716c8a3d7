"""The invariants of the design as code: run by the tests on every method, and on anybody else's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from models.check.cases import BACKENDS as BACKENDS
    from models.check.cases import BATCHES as BATCHES
    from models.check.cases import Case as Case
    from models.check.cases import tiny_model as tiny_model
    from models.check.invariants import INVARIANTS as INVARIANTS
    from models.check.invariants import InvariantError as InvariantError

_HOMES = {"INVARIANTS": "invariants", "InvariantError": "invariants"} | dict.fromkeys(
    ("BACKENDS", "BATCHES", "Case", "tiny_model"), "cases"
)


def __getattr__(name: str) -> Any:
    """Import on first use, as the oracle alone needs neither pictures nor processors."""
    if name not in _HOMES:
        raise AttributeError(f"module 'models.check' has no attribute '{name}'")
    import importlib

    return getattr(importlib.import_module(f"models.check.{_HOMES[name]}"), name)
