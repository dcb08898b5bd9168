"""Whether the formulas of a user's activation or loss belong together: tried on a grid, in float64.

The weights engine differentiates the formula of the value by autograd, the Gram engine uses those of the derivatives:
they must agree, at a kink too, and with finite differences, which a jump of the value would fail.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from featlearn.functions.activations import Activation
from featlearn.functions.losses import LossFunction

if TYPE_CHECKING:
    from torch import Tensor

    Function = Callable[[Tensor], Tensor]

STEP = 1e-5  # of central differences: their error is about STEP^2 times the third derivative
CLOSE = 1e-6  # how closely they agree, relative to the numbers or to 1
FAR, SPACING, OFFSET = 20, 0.1, 0.0371  # the grid: to both sides, away from kinks at round numbers; and 0 and +-1
FINE = 0.01  # between the points at which jumps are looked for
DEGREES = (0.3, 2.0, 7.0)


def flaw(function: Activation | LossFunction) -> str | None:
    """Return what is wrong with the formulas, None if nothing is."""
    import torch

    grid = torch.arange(-FAR, FAR, SPACING, dtype=torch.float64) + OFFSET
    exact = torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64)
    if isinstance(function, Activation):
        second = function.second or torch.zeros_like
        return _flaw(function.value, function.slope, second, grid, exact, "z") or _other_degree(function, grid)
    for label in (1.0, -1.0):
        if reason := _flaw(*_at_label(function, label), grid, exact, "f", f" and y = {label:g}"):
            return reason
    curved = torch.stack([_at_label(function, label)[2](grid) for label in (1.0, -1.0)])
    return None if (curved >= 0).all() else "second is negative somewhere: a loss must be convex in the output"


def _at_label(loss: LossFunction, label: float) -> tuple[Function, Function, Function]:
    def at(formula: Callable[[Tensor, Tensor], Tensor]) -> Function:
        return lambda f: formula(f, f.new_full(f.shape, label))

    return at(loss._value), at(loss._slope), at(loss._second)


def _flaw(
    value: Function, slope: Function, second: Function, grid: Tensor, exact: Tensor, name: str, beside: str = ""
) -> str | None:
    import torch

    everywhere = torch.cat([grid, exact])
    for formula, word in ((value, "value"), (slope, "slope"), (second, "second")):
        wild = everywhere[~formula(everywhere).isfinite()]
        if len(wild):
            return f"{word} is not a finite number at {name} = {wild[0]:g}{beside}"
    comparisons = (
        ("slope", "value", slope(grid), _difference(value, grid), grid),
        ("slope", "value", slope(everywhere), _derivative(value, everywhere), everywhere),
        ("second", "slope", second(grid), _difference(slope, grid), grid),
    )
    for word, of, given, found, points in comparisons:
        wrong = ((given - found).abs() > CLOSE * (1 + found.abs() + value(points).abs())) | found.isnan()
        for i in wrong.nonzero()[:1, 0].tolist():
            at = f"at {name} = {points[i]:g}{beside} it is {given[i]:.4g}, and that derivative {found[i]:.4g}"
            return f"{word} is not the derivative of {of}: {at}"
    return _jump(value, slope, name, beside)


def _jump(value: Function, slope: Function, name: str, beside: str) -> str | None:
    """Refuse a value that changes by more between near points than its slopes there allow."""
    import torch

    near = torch.arange(-FAR, FAR, FINE, dtype=torch.float64) + OFFSET
    steps, slopes = value(near).diff().abs(), slope(near).abs()
    allowed = FINE * 1.5 * torch.maximum(slopes[1:], slopes[:-1]) + 0.1 * FINE
    for i in (steps > allowed).nonzero()[:1, 0].tolist():
        return f"value jumps by {steps[i]:.4g} near {name} = {near[i]:.4g}{beside}"
    return None


def _difference(function: Function, points: Tensor) -> Tensor:
    return (function(points + STEP) - function(points - STEP)) / (2 * STEP)


def _derivative(function: Function, points: Tensor) -> Tensor:
    """Return the derivative by autograd; 0 where it sees none."""
    import torch

    leaf = points.clone().requires_grad_()
    total: Any = function(leaf).sum()
    return torch.autograd.grad(total, leaf)[0] if total.requires_grad else torch.zeros_like(points)


def _other_degree(act: Activation, grid: Tensor) -> str | None:
    """Refuse a degree that the function does not have."""
    for r in DEGREES if act.degree else ():
        expected, found = r ** (act.degree or 0) * act.value(grid), act.value(r * grid)
        wrong = (found - expected).abs() > 1e-9 * (1 + expected.abs())
        for i in wrong.nonzero()[:1, 0].tolist():
            z = grid[i]
            return (
                f"degree = {act.degree} is wrong: value({r:g} z) at z = {z:g} is {found[i]:.4g}, not {expected[i]:.4g}"
            )
    return None
