"""The baseline: a standard PyTorch loop with explicit weights, torch.optim and autograd, one network at a time.

It is independent of the engines and includes the full cost of a run: drawing the training and the test set, training,
and every recorded test error, on 1000 test points.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from featlearn.runs import RunConfig

N_TEST = 1000


class CNN(nn.Module):
    """f(x) = sum_j (j / m) sum_r sum_p relu(<w_jr, x_p>) for x [n, P, d]; the m filters of sign +1 come first."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        m = len(weight) // 2
        self.weight = nn.Parameter(weight)
        self.second = weight.new_tensor([1 / m] * m + [-1 / m] * m)

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs [n]."""
        out: Tensor = F.relu(x @ self.weight.T).sum(1) @ self.second
        return out


@dataclass(frozen=True)
class Points:
    """Samples x [n, P, d] with labels y [n] of +-1."""

    x: Tensor
    y: Tensor


def draw(run: RunConfig, n: int, device: str) -> Points:
    """Draw n samples: label times signal in the first patch, the same noise vector in the others."""
    data, like = run.data, {"dtype": getattr(torch, run.dtype), "device": device}
    y = 2.0 * torch.randint(0, 2, (n,), device=device).to(like["dtype"]) - 1
    x = data.noise_std * torch.randn(n, 1, data.dim, **like).repeat(1, data.n_patches, 1)
    x[:, 0] = 0
    x[:, 0, 0] = y * data.strength
    return Points(x, y)


def draw_model(run: RunConfig, device: str) -> CNN:
    """Draw the initial network."""
    shape = (2 * run.network.n_filters, run.data.dim)
    return CNN(run.network.std(run.data.dim) * torch.randn(shape, dtype=getattr(torch, run.dtype), device=device))


def simulate(run: RunConfig, device: str = "cpu") -> list[float]:
    """Draw, train and test the run; return its recorded test errors."""
    torch.manual_seed(run.seed)
    train_set = draw(run, run.data.n_samples, device)
    test_set = draw(run, N_TEST, device) if run.record.trackers else None
    return train(draw_model(run, device), run, train_set, test_set)


def train(model: CNN, run: RunConfig, train_set: Points, test_set: Points | None) -> list[float]:
    """Train on full batches with SGD or SAM; return the recorded test errors, none without a test set."""
    rule = run.optimizer
    rho, sgd = getattr(rule, "rho", 0.0), getattr(rule, "base", rule)
    optimizer = torch.optim.SGD(model.parameters(), lr=sgd.lr)
    errors = []
    for step in range(1, run.train.n_steps + 1):
        optimizer.zero_grad()
        loss(model, train_set).backward()  # type: ignore[no-untyped-call]
        if rho:
            sharpness_aware(model, optimizer, train_set, rho)
        optimizer.step()
        if test_set and step in run.record.steps:
            errors.append(error(model, test_set))
    return errors


def sharpness_aware(model: CNN, optimizer: torch.optim.Optimizer, points: Points, rho: float) -> None:
    """Replace the gradient by the one at distance rho along it."""
    weight = model.weight
    assert weight.grad is not None
    with torch.no_grad():
        uphill = rho * weight.grad / (weight.grad.norm() + 1e-12)
        weight.add_(uphill)
    optimizer.zero_grad()
    loss(model, points).backward()  # type: ignore[no-untyped-call]
    with torch.no_grad():
        weight.sub_(uphill)


def loss(model: CNN, points: Points) -> Tensor:
    """Return the mean logistic loss."""
    return F.softplus(-points.y * model(points.x)).mean()


@torch.no_grad()
def error(model: CNN, points: Points) -> float:
    """Return the share of wrong signs."""
    return float((points.y * model(points.x) <= 0).double().mean())
