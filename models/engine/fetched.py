"""Values that cross between the device and the host without holding up what the device is at."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


class Fetch:
    """A tensor on its way to the host.

    On CUDA the copy goes into pinned memory and is waited for by an event of its own, not by the whole stream: the
    device goes on with the layers that follow while the host reads what a layer told.

    Parameters
    ----------
    values : Tensor
        On any device.
    """

    def __init__(self, values: Tensor) -> None:
        self._event: torch.cuda.Event | None = None
        if values.device.type != "cuda":
            self._host = values.cpu()
            return
        self._host = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
        self._host.copy_(values, non_blocking=True)
        self._event = torch.cuda.Event()
        self._event.record(torch.cuda.current_stream(values.device))

    def wait(self) -> Tensor:
        """The values, on the CPU."""
        if self._event is not None:
            self._event.synchronize()
        return self._host


class Told(UserDict[tuple[Any, int], Tensor]):
    """Statistics by probe and layer; one that is given as a function is computed when it is first read."""

    def put(self, key: tuple[Any, int], read: Callable[[], Tensor]) -> None:
        """Enter a value that is still on its way."""
        self.data[key] = read  # type: ignore[assignment]

    def __getitem__(self, key: tuple[Any, int]) -> Tensor:
        value: Any = self.data[key]
        if not isinstance(value, Tensor):
            value = self.data[key] = value()
        found: Tensor = value
        return found


def onto(values: Tensor, device: torch.device) -> Tensor:
    """Values of the host on a device, in the order of its stream; the host does not wait until they are there."""
    return values.to(device, non_blocking=True)
