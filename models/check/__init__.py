"""The invariants of the design as code: run by the tests on every method, and on anybody else's."""

from models.check.cases import Case, cases
from models.check.invariants import INVARIANTS, InvariantError

__all__ = ["INVARIANTS", "Case", "InvariantError", "cases"]
