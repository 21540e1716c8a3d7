"""Optimisers for small models on a CPU: Muon for matrices, AdamW for the rest."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, overload

import torch
from torch import Tensor, nn

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def orthogonalize(matrices: Tensor, steps: int = 5) -> Tensor:
    """Push all singular values towards one by Newton-Schulz steps in the given precision.

    `torch.optim.Muon` does this in bfloat16, one matrix at a time, which is three times slower on most CPUs.

    Parameters
    ----------
    matrices
        Shape (matrices, rows, columns).
    steps
        Number of iterations.

    Returns
    -------
    torch.Tensor
        Same shape.
    """
    a, b, c = _COEFFICIENTS
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """Momentum orthogonalised by Newton-Schulz (Jordan et al., https://kellerjordan.github.io/posts/muon).

    Parameters
    ----------
    params
        Matrices only; those of one shape are updated as one batch.
    lr
        Learning rate, scaled such that updates have the root mean square of AdamW's (arXiv:2502.16982).
    weight_decay
        Decoupled weight decay.
    momentum
        Decay of the running mean of gradients (Nesterov).
    """

    def __init__(
        self, params: Iterable[nn.Parameter], lr: float, weight_decay: float = 0.01, momentum: float = 0.95
    ) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Update all matrices once; closures are not supported."""
        for group in self.param_groups:
            by_shape: defaultdict[tuple[int, ...], list[nn.Parameter]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    by_shape[tuple(parameter.shape)].append(parameter)
            for parameters in by_shape.values():
                self._step_shape(parameters, group["lr"], group["weight_decay"], group["momentum"])
        return None

    def _step_shape(self, parameters: list[nn.Parameter], lr: float, weight_decay: float, momentum: float) -> None:
        gradient = torch.stack([p.grad for p in parameters if p.grad is not None])
        state = self.state[parameters[0]]
        mean = state.setdefault("mean", torch.zeros_like(gradient))
        mean.lerp_(gradient, 1 - momentum)
        update = orthogonalize(gradient.lerp(mean, momentum))
        scale = lr * 0.2 * max(gradient.shape[-2:]) ** 0.5
        for parameter, change in zip(parameters, update, strict=True):
            parameter.mul_(1 - lr * weight_decay).add_(change, alpha=-scale)


class Trainer:
    """Two optimisers, one schedule, and the mean of gradients over processes.

    Parameters
    ----------
    modules
        What is trained; tied parameters count once.
    steps
        Length of the schedule: a short warm-up, constant to 40 %, linear decay to 2 %.
    rates
        Learning rates of Muon and AdamW.
    """

    def __init__(self, modules: Iterable[nn.Module], steps: int, rates: tuple[float, float] = (3e-3, 2e-3)) -> None:
        named = {p: name for module in modules for name, p in module.named_parameters() if p.requires_grad}
        matrices = [p for p, name in named.items() if p.ndim == 2 and "embed" not in name and "lm_head" not in name]
        chosen = set(matrices)
        self.rest = [p for p in named if p not in chosen]
        self.parameters = matrices + self.rest
        self.steps, self.rates, self.done = steps, rates, 0
        self.optimizers = (
            Muon(matrices, rates[0]),
            torch.optim.AdamW(self.rest, rates[1], betas=(0.9, 0.98), weight_decay=0.0),
        )

    @property
    def progress(self) -> float:
        """Share of the steps that are done."""
        return self.done / self.steps

    def state(self) -> dict[str, Any]:
        """Return what the next steps depend on."""
        return {"done": self.done, "optimizers": [optimizer.state_dict() for optimizer in self.optimizers]}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from where a state was taken."""
        self.done = state["done"]
        for optimizer, values in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(values)

    def step(self, loss: Tensor) -> None:
        """Follow the gradient of a loss once."""
        factor = min(1.0, (self.done + 1) / 30) * max(0.02, min(1.0, (1 - self.progress) / 0.6))
        for optimizer, rate in zip(self.optimizers, self.rates, strict=True):
            optimizer.param_groups[0]["lr"] = rate * factor
            optimizer.zero_grad()
        loss.backward()
        average_gradients(self.parameters)
        nn.utils.clip_grad_norm_(self.rest, 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
        self.done += 1


def average_gradients(parameters: list[nn.Parameter]) -> None:
    """Replace gradients by their mean over the processes of a distributed run; alone, do nothing."""
    if not torch.distributed.is_initialized():
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([g.flatten() for g in gradients])
    torch.distributed.all_reduce(flat)
    flat /= torch.distributed.get_world_size()
    for gradient, mean in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))
