"""Values between device and host: read when they are needed, and never before."""

from functools import partial

import pytest
import torch

from winnow.models.engine import signals as signals_module
from winnow.models.engine.fetched import Fetch, Told
from winnow.models.engine.signals import Signals
from winnow.reducers.core.layout import Layout, Span
from winnow.reducers.core.probes import Rows


def test_a_statistic_on_its_way_is_read_once_and_not_before_it_is_asked_for() -> None:
    told, reads = Told(), list[int]()
    told.put(("probe", 3), lambda: reads.append(1) or torch.ones(2))  # type: ignore[func-returns-value]
    assert ("probe", 3) in told and not reads
    assert torch.equal(told["probe", 3], torch.ones(2)) and torch.equal(told["probe", 3], torch.ones(2))
    assert reads == [1]
    with pytest.raises(KeyError):
        told["probe", 4]


def test_observing_a_layer_waits_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The host would otherwise stand still until the device has caught up, in every layer that is observed."""
    waited = list[int]()

    class Counted(Fetch):
        def wait(self) -> torch.Tensor:
            waited.append(1)
            return super().wait()

    monkeypatch.setattr(signals_module, "Fetch", Counted)
    layout = Layout(9, (Span(torch.arange(2, 8), 1, 2, 3),))
    seen = Signals([(Rows("last"), 0), (Rows("all"), 0)], [layout])
    query, key = torch.randn(1, 2, 9, 4), torch.randn(1, 1, 9, 4)
    seen.observe(0, [torch.arange(9)], query, key, 0.5)
    assert not waited
    last, mean = seen.values[0][Rows("last"), 0], seen.values[0][Rows("all"), 0]
    assert len(waited) == 2
    weights = (query[0] @ key[0].mT * 0.5).masked_fill(torch.ones(9, 9).triu(1).bool(), float("-inf")).softmax(-1)
    torch.testing.assert_close(last, weights.mean(0)[-1])
    torch.testing.assert_close(mean, weights.mean((0, 1)))


def test_fetching_from_the_host_is_the_tensor_itself() -> None:
    values = torch.arange(5)
    assert all(torch.equal(read(), values) for read in [partial(Fetch(values).wait)] * 2)
