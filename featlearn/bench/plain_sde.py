"""The baselines of SDE paths, on the quadratic sum_i lambda_i w_i^2 / 2 with the gradient noise s Z.

Euler-Maruyama by hand in numpy, for one path or for all at once, and by torchsde (Li et al. 2020, arXiv 2001.01328).
They share no code with sde/ but the closed form of E u and its derivative (theory/noisy_gradients.py). One generator
draws for all paths, as one writes it by hand: here a path depends on its neighbours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from featlearn.theory.noisy_gradients import response

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Equation:
    """dw = -lr (a dt + b dW), time in steps, of ``rule`` usam or sam; eigenvalues: lambda. noise: s."""

    rule: str
    eigenvalues: Array
    lr: float
    rho: float
    noise: float

    def increment(self, w: Array, h: float, dw: Array) -> Array:
        """Return the change of w [..., D] in a time h, in which the Wiener processes change by dw [..., D]."""
        g = self.eigenvalues * w
        d = h * g + self.noise * dw
        u = d if self.rule == "usam" else self.perturbation(g, h, dw)
        return np.asarray(-self.lr * (d + self.rho * self.eigenvalues * u))

    def perturbation(self, g: Array, h: float, dw: Array) -> Array:
        """Return E u h + s dE u/dg dw for the unit vector u along g + s Z."""
        norm = np.sqrt((g * g).sum(-1, keepdims=True))
        a, b, c = response(norm, self.noise, g.shape[-1])
        along = (g * dw).sum(-1, keepdims=True) / np.where(norm > 0, norm * norm, 1.0)
        return np.asarray(h * a * g + self.noise * (b * dw + c * along * g))


def by_numpy(equation: Equation, start: Array, n_steps: int, substeps: int, seed: int) -> Array:
    """Return the paths from ``start`` [..., D] after ``n_steps`` steps: one path [D], or all at once [b, D]."""
    rng, w, h = np.random.default_rng(seed), start, 1 / substeps
    for _ in range(n_steps * substeps):
        w = w + equation.increment(w, h, np.sqrt(h) * rng.standard_normal(w.shape))
    return w


def torchsde_solver() -> Callable[..., Any] | None:
    """Return torchsde's ``sdeint``, None where it is not installed."""
    try:
        from torchsde import sdeint
    except ModuleNotFoundError:
        return None
    return sdeint  # type: ignore[no-any-return]


class USAMEquation(torch.nn.Module):
    """The Equation of USAM for torchsde: its noise is diagonal."""

    noise_type, sde_type = "diagonal", "ito"

    def __init__(self, equation: Equation) -> None:
        super().__init__()
        eigenvalues = torch.as_tensor(equation.eigenvalues)
        factor = 1 + equation.rho * eigenvalues
        self._drift, self._noise = -equation.lr * factor * eigenvalues, -equation.lr * equation.noise * factor

    def f(self, t: Any, w: torch.Tensor) -> torch.Tensor:
        """Return the drift."""
        return self._drift * w

    def g(self, t: Any, w: torch.Tensor) -> torch.Tensor:
        """Return the diagonal of the diffusion."""
        return self._noise.expand_as(w)


def by_torchsde(equation: Equation, start: Array, n_steps: int, substeps: int, seed: int) -> Array:
    """Return the paths of USAM from ``start`` [b, D] after ``n_steps`` steps. Raises ValueError for another rule."""
    sdeint = torchsde_solver()
    if sdeint is None or equation.rule != "usam":
        raise ValueError("needs torchsde, and the rule usam")
    torch.manual_seed(seed)
    times = torch.tensor([0.0, n_steps], dtype=torch.float64)
    with torch.no_grad():
        ends = sdeint(USAMEquation(equation), torch.as_tensor(start), times, dt=1 / substeps, method="euler")
    return np.asarray(ends[-1].numpy())
