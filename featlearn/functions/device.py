"""Activations and losses compiled by Triton for device kernels, from the formulas in activations.py and losses.py.

KIND is a name in ACTIVATIONS or LOSSES; a name without a formula does not compile.
"""

from __future__ import annotations

import linecache
import re
from typing import Any

import triton
import triton.language as tl

from featlearn.functions.activations import ACTIVATIONS
from featlearn.functions.formulas import source, variables
from featlearn.functions.losses import LOSSES


@triton.jit
def positive(x):
    """Return max(x, 0); NaN stays."""
    return tl.where(x <= 0, 0.0, x)


@triton.jit
def step(x):
    """Return 1 where x > 0, else 0."""
    return (x > 0).to(x.dtype)


@triton.jit
def log1p(x):
    """Return log(1 + x) for x > -1; with u = 1 + x as rounded, log(u) x / (u - 1) is it to the last bits (Kahan)."""
    u = 1 + x
    return tl.where(u == 1, x, tl.log(u) * (x / tl.where(u == 1, u, u - 1)))


@triton.jit
def sigmoid(x):
    """Return 1 / (1 + exp(-x)), without overflow."""
    e = tl.exp(-tl.abs(x))
    return tl.where(x > 0, 1.0, e) / (1 + e)


@triton.jit
def softplus(x):
    """Return log(1 + exp(x))."""
    return positive(x) + log1p(tl.exp(-tl.abs(x)))


@triton.jit
def tanh(x):
    """Return the hyperbolic tangent: (1 - e) / (1 + e) with e = exp(-2 |x|), or a continued fraction."""
    e = tl.exp(-2 * tl.abs(x))
    far = tl.where(x > 0, 1 - e, e - 1) / (1 + e)
    s = x * x
    # the continued fraction x / (1 + s / (3 + s / (5 + ...)))
    near = x / (1 + s / (3 + s / (5 + s / (7 + s / (9 + s / (11 + s / (13 + s / 15)))))))
    return tl.where(s < 0.3, near, far)


FUNCTIONS = {f.__name__: f for f in (positive, step, log1p, sigmoid, softplus, tanh)}
OF_TRITON = re.compile(r"\b(where|exp|sqrt|erf|abs)\(")  # those that are functions of triton.language


def _function(name: str, arguments: str, what: str, formulas: dict[str, str]) -> Any:
    """Compile the choice of a formula by its name."""
    like, unknown = arguments.partition(",")[0], f"no formula is compiled for this {what}; expected one of "
    lines = ["@triton.jit", f"def {name}({arguments}, KIND: tl.constexpr):"]
    for number, (kind, formula) in enumerate(formulas.items()):
        _, *body = source("_", arguments, formula).rstrip().split("\n    ")
        if not variables(formula):
            body[-1] = body[-1].replace("return ", f"return tl.full({like}.shape, 0, {like}.dtype) + ")
        lines += [f"    {'elif' if number else 'if'} KIND == {kind!r}:", *(f"        {line}" for line in body)]
    lines += ["    else:", f"        tl.static_assert(False, '{unknown}{', '.join(formulas)}')"]
    file, text = f"<featlearn.functions.device: {name}>", OF_TRITON.sub(r"tl.\1(", "\n".join(lines)) + "\n"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)  # where Triton reads it
    made: dict[str, Any] = {**FUNCTIONS, "triton": triton, "tl": tl, "__name__": __name__}
    exec(compile(text, file, "exec"), made)
    return made[name]


_SCALAR = {name: loss for name, loss in LOSSES.items() if name != "softmax"}

value = _function("value", "z", "activation", {name: act.value_formula for name, act in ACTIVATIONS.items()})
slope = _function("slope", "z", "activation", {name: act.slope_formula for name, act in ACTIVATIONS.items()})
loss_value = _function("loss_value", "f, y", "loss", {name: loss.value_formula for name, loss in _SCALAR.items()})
loss_slope = _function("loss_slope", "f, y", "loss", {name: loss.slope_formula for name, loss in _SCALAR.items()})
