"""Activations and losses compiled by numba for the hot loops, from the formulas in activations.py and losses.py.

Loops refer to an activation or a loss by number. Each has its own loop, since a loop that branches is not vectorized.
An unknown number raises: a function without a formula is never replaced by another one. A user's function is compiled
alone, and its number is the address of its machine code, so that the loops, which are cached, stay as they are.
"""

from __future__ import annotations

import ast
import linecache
import math
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from llvmlite import ir
from numba import cfunc, njit, types
from numba.extending import intrinsic

from featlearn.custom import is_own
from featlearn.functions.activations import ACTIVATIONS, Activation
from featlearn.functions.cache import check_definitions
from featlearn.functions.formulas import Constants, chosen
from featlearn.functions.losses import LOSSES, LossFunction
from featlearn.functions.own import activation, loss

check_definitions()

KINDS = {name: kind for kind, name in enumerate(ACTIVATIONS)}
LOSS_KINDS = {name: kind for kind, name in enumerate([*(name for name in LOSSES if name != "softmax"), "softmax"])}


def activation_kind(name: str) -> int:
    """Return the number of an activation. Raises ValueError for an unknown one."""
    return address("z, _", activation(name)) if is_own(name) else int(chosen("activation", name, KINDS))


def loss_kind(name: str) -> int:
    """Return the number of a loss. Raises ValueError for an unknown one."""
    return address("f, y", loss(name)) if is_own(name) else int(chosen("loss", name, LOSS_KINDS))


@njit(error_model="numpy")
def _positive(x: Any) -> Any:
    return type(x)(0) if x <= 0 else x  # NaN stays


@njit(error_model="numpy")
def _step(x: Any) -> Any:
    return type(x)(1) if x > 0 else type(x)(0)


@njit(error_model="numpy")
def _where(condition: bool, a: Any, b: Any) -> Any:
    return a if condition else b


@njit(error_model="numpy")
def _sigmoid(x: Any) -> Any:
    e = math.exp(-abs(x))
    return _where(x > 0, type(x)(1), e) / (type(x)(1) + e)


@njit(error_model="numpy")
def _softplus(x: Any) -> Any:
    return _positive(x) + math.log1p(math.exp(-abs(x)))


FUNCTIONS = {
    "positive": _positive,
    "step": _step,
    "where": _where,
    "sigmoid": _sigmoid,
    "softplus": _softplus,
    "exp": math.exp,
    "log1p": math.log1p,
    "sqrt": math.sqrt,
    "tanh": math.tanh,
    "erf": math.erf,
    "abs": abs,
}


@njit(error_model="numpy", fastmath={"contract"})
def _softmax_values(outputs: Any, labels: Any, out: Any) -> None:
    for i in range(len(out)):
        top = outputs[:, i].argmax()
        others = out.dtype.type(0)
        for j in range(len(outputs)):
            if j != top:
                others += math.exp(outputs[j, i] - outputs[top, i])
        out[i] = math.log1p(others) - (outputs[int(labels[i]), i] - outputs[top, i])


@njit(error_model="numpy", fastmath={"contract"})
def _softmax_slopes(outputs: Any, labels: Any, batch: Any, out: Any) -> None:
    for i in range(len(labels)):
        right, top = int(labels[i]), outputs[:, i].max()
        total = out.dtype.type(0)
        for j in range(len(outputs)):
            out[j, i] = math.exp(outputs[j, i] - top)
            total += out[j, i]
        out[right, i] = 0
        for j in range(len(outputs)):
            if j != right:
                out[j, i] *= batch[i] / total
                out[right, i] -= out[j, i]


@njit
def _no_single_output() -> None:
    raise ValueError("this loss has several outputs: its second derivative is a matrix")


def _steps(*formulas: str, result: str) -> list[str]:
    """Return lines that compute each call in the formulas once, then ``result``, with the formulas for {0}, {1}, ..."""
    calls, texts = _Calls(), []
    for formula in formulas:
        tree = Constants("number({})").visit(ast.parse(formula, mode="eval"))
        texts.append(f"({ast.unparse(calls.visit(tree))})")
    return [*(f"{name} = {call}" for call, name in calls.names.items()), result.format(*texts)]


class _Calls(ast.NodeTransformer):
    """Replaces every call by a name, equal calls by the same one."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Return the name; calls inside get theirs first."""
        if ast.unparse(node.func) == "number":
            return node
        call = ast.unparse(self.generic_visit(node))
        return ast.Name(self.names.setdefault(call, f"call_{len(self.names)}"))


def _loop(start: str, *lines: str) -> list[str]:
    return [f"for i in range(len({start})):", *(f"    {line}" for line in lines)]


@intrinsic
def _call(context: Any, place: Any, order: Any, x: Any, y: Any) -> Any:
    """Call the compiled function at an address, in float64: ``order`` of the derivative, and two numbers."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        at, *given = arguments
        kind = ir.FunctionType(given[1].type, [given[0].type, given[1].type, given[2].type])
        return builder.call(builder.inttoptr(at, kind.as_pointer()), given)

    return types.float64(types.int64, types.int64, types.float64, types.float64), generate


@cache
def address(arguments: str, function: Activation | LossFunction) -> int:
    """Return where the code of a user's function is, with its derivatives of order 1 and 2."""
    lines = [f"def own(order, {arguments}):", f"    number = type({arguments[0]})"]
    lines += ["    m = y * f"] * ("y" in arguments)
    formulas = function.value_formula, function.slope_formula, function.second_formula or "0"
    for order, formula in enumerate(formulas):
        lines += [
            f"    if order == {order}:",
            *(f"        {line}" for line in _steps(formula, result="return number({0})")),
        ]
    made = _executed("own", [*lines, "    return number(math.nan)"])
    signature = types.float64(types.int64, types.float64, types.float64)
    compiled = cfunc(signature, error_model="numpy", fastmath={"contract"})(made["own"])
    _KEPT.append(compiled)
    return int(compiled.address)


_KEPT: list[Any] = []  # the code of users' functions, as long as the process lives
SMALL = 4096  # numbers below are no addresses


def _executed(name: str, lines: list[str]) -> dict[str, Any]:
    """Return what the lines of a text define; its lines are shown in tracebacks."""
    file, text = f"<featlearn.functions: {name}>", "\n".join(lines) + "\n"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    made: dict[str, Any] = dict(FUNCTIONS) | {"__name__": __name__, "math": math, "call": _call}
    made |= {"softmax_values": _softmax_values, "softmax_slopes": _softmax_slopes, "refuse": _no_single_output}
    exec(compile(text, file, "exec"), made)
    return made


def _function(
    name: str, arguments: str, like: str, what: str, cases: Iterable[list[str]], own: Sequence[str] = ()
) -> Any:
    """Compile the choice of a case by its index in ``cases``; ``like``: expression with the type of the numbers.

    own: the case of a user's function, at the address ``kind``; refused without it.
    """
    lines = [f"def {name}(kind, {arguments}):", f"    number = {like}"]
    for kind, case in enumerate(cases):
        lines += [f"    {'elif' if kind else 'if'} kind == {kind}:", *(f"        {line}" for line in case)]
    lines += [f"    elif kind >= {SMALL}:", *(f"        {line}" for line in own)] if own else []
    lines += ["    else:", f"        raise ValueError('no formula is compiled for this {what}')"]
    made = _executed(name, lines)
    return njit(error_model="numpy", fastmath={"contract"})(made[name])


_NUMBER = "out.dtype.type"
_ACTS = [(a.value_formula, a.slope_formula, a.second_formula or "0") for a in ACTIVATIONS.values()]
_LOSSES = [loss for loss in LOSSES.values() if loss.name != "softmax"]  # in the order of LOSS_KINDS


def _at_points(formula: str, result: str) -> list[str]:
    return _loop("points", "z = points[i]", *_steps(formula, result=result))


def _at_samples(formula: str, result: str) -> list[str]:
    return _loop("labels", "f, y = outputs[0, i], labels[i]", "m = y * f", *_steps(formula, result=result))


# values(kind, z, out): write the activation of every entry of z into ``out``
values: Any = _function(
    *("values", "points, out", _NUMBER, "activation"),
    [_at_points(value, "out[i] = {0}") for value, _, _ in _ACTS],
    own=_loop("points", "out[i] = call(kind, 0, points[i], points[i])"),
)
# slopes(kind, factor, z, out): write ``factor`` times the activation's derivative at every entry of z into ``out``
slopes: Any = _function(
    *("slopes", "factor, points, out", _NUMBER, "activation"),
    [_at_points(slope, "out[i] = factor[i] * {0}") for _, slope, _ in _ACTS],
    own=_loop("points", "out[i] = factor[i] * call(kind, 1, points[i], points[i])"),
)
# seconds(kind, factor, z, out): write ``factor`` times its second derivative into ``out``
seconds: Any = _function(
    *("seconds", "factor, points, out", _NUMBER, "activation"),
    [_at_points(second, "out[i] = factor[i] * {0}") for _, _, second in _ACTS],
    own=_loop("points", "out[i] = factor[i] * call(kind, 2, points[i], points[i])"),
)
# expansion(kind, z): return the activation with its first and second derivative, in the precision of z
expansion: Any = _function(
    *("expansion", "z", "type(z)", "activation"),
    [_steps(*three, result="return number({0}), number({1}), number({2})") for three in _ACTS],
    own=["return number(call(kind, 0, z, z)), number(call(kind, 1, z, z)), number(call(kind, 2, z, z))"],
)
# loss_values(kind, outputs, labels, out): write the loss of every sample into ``out`` [n], from outputs [C, n]
loss_values: Any = _function(
    *("loss_values", "outputs, labels, out", _NUMBER, "loss"),
    [*(_at_samples(x.value_formula, "out[i] = {0}") for x in _LOSSES), ["softmax_values(outputs, labels, out)"]],
    own=_loop("labels", "out[i] = call(kind, 0, outputs[0, i], labels[i])"),
)
# loss_slopes(kind, outputs, labels, batch, out): write batch_i dloss_i / df_ci into ``out`` [C, n], maybe ``outputs``
loss_slopes: Any = _function(
    *("loss_slopes", "outputs, labels, batch, out", _NUMBER, "loss"),
    [
        *(_at_samples(x.slope_formula, "out[0, i] = batch[i] * {0}") for x in _LOSSES),
        ["softmax_slopes(outputs, labels, batch, out)"],
    ],
    own=_loop("labels", "out[0, i] = batch[i] * call(kind, 1, outputs[0, i], labels[i])"),
)
# loss_seconds(kind, outputs, labels, out): write the second derivative in the one output into ``out`` [n]
loss_seconds: Any = _function(
    *("loss_seconds", "outputs, labels, out", _NUMBER, "loss"),
    [*(_at_samples(x.second_formula or "0", "out[i] = {0}") for x in _LOSSES), ["refuse()"]],
    own=_loop("labels", "out[i] = call(kind, 2, outputs[0, i], labels[i])"),
)
