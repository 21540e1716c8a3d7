"""The invariants as a pytest suite for anybody's method.

A test file of any repository inherits the class and says in one fixture which methods it is about::

    import pytest
    from winnow.testing import MethodTests


    class TestMine(MethodTests):
        @pytest.fixture(params=[Mine(ratio=0.25), Mine(ratio=0.5, schedule=K(2))], ids=repr)
        def reducer(self, request):
            return request.param
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
import torch

from winnow.models.check.cases import BATCHES, Case, tiny_model
from winnow.models.check.invariants import INVARIANTS
from winnow.models.check.outcomes import outcome
from winnow.models.engine import attach
from winnow.models.families import FAMILIES, find_family
from winnow.models.families.support import impossible
from winnow.reducers.core.base import Reducer
from winnow.reducers.core.errors import UnsupportedError
from winnow.reducers.core.tower import Tower


class MethodTests:
    """Holds a method to the invariants on tiny random models of every family; see the module.

    Attributes
    ----------
    layers : int
        Depth of the models' LLMs.
    attn : str
        Their attention implementation: ``sdpa``, ``eager``.
    batches : tuple of str
        The prompts: ``video``, ``image``, ``mixed``, ``padded`` (four prompts of different lengths).
    """

    layers: ClassVar[int] = 6
    attn: ClassVar[str] = "sdpa"
    batches: ClassVar[tuple[str, ...]] = ("padded",)

    @pytest.fixture
    def reducer(self) -> Reducer:
        """The method; to be overridden."""
        raise NotImplementedError("override the fixture 'reducer': it returns the method to be tested")

    @pytest.fixture(autouse=True)
    def _one_thread(self) -> Iterator[None]:
        """Tiny models are faster on one."""
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        yield
        torch.set_num_threads(before)

    @pytest.mark.parametrize("family", FAMILIES)
    def test_invariants(self, reducer: Reducer, family: str) -> None:
        """Every invariant, or a refusal in one line where the pair is impossible."""
        cases = [Case(tiny_model(family, self.attn, self.layers), reducer, BATCHES[batch]) for batch in self.batches]
        if reason := impossible(find_family(family), reducer, self.layers):
            model: Any = cases[0].loaded.model
            with pytest.raises(UnsupportedError), attach(model, reducer):
                pass
            pytest.skip(reason)
        told = [(invariant, outcome(invariant, case)) for case in cases for invariant in INVARIANTS]
        if all(fault is None for _, fault in told):
            pytest.skip("the engine refuses each of these batches in one line")
        faults = [f"{invariant}: {fault}" for invariant, fault in told if fault]
        assert not faults, "\n".join(faults)

    def test_it_does_something(self, reducer: Reducer) -> None:
        """A method whose plan drops nothing is a mistake in its settings."""
        frame = Tower(blocks=3, used=2, rows=5, cols=5, cls=True)
        planned = reducer.plan([(4, frame.patches)], self.layers, frame)
        assert reducer.adaptive or min(planned) < 4 * frame.patches, f"{reducer} drops nothing: {planned}"
