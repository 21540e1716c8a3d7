"""The invariants of the design as code: run by the tests on every method, and on anybody else's."""

from models.check.cases import BACKENDS, BATCHES, Case, tiny_model
from models.check.invariants import INVARIANTS, InvariantError

__all__ = ["BACKENDS", "BATCHES", "INVARIANTS", "Case", "InvariantError", "tiny_model"]
