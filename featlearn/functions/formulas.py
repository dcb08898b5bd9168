"""Formulas of activations and losses: one text each, from which every back end builds its functions.

A formula is a Python expression of its variables, numbers, + - * / and comparisons, and these functions:

    positive(x)      max(x, 0)                      exp, log1p, sqrt, tanh, erf, abs
    step(x)          1 where x > 0, else 0          sigmoid(x)    1 / (1 + exp(-x))
    where(c, a, b)   a where c holds, else b        softplus(x)   log(1 + exp(x))

A formula may use the margin m = y f as m. Here they are torch's functions; compiled.py and device.py define their
own. torch is imported only when a function is built: the names of activations and losses are available without it.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

FUNCTIONS = {
    "positive": "torch.relu",
    "step": "lambda x: (x > 0).to(x.dtype)",
    "where": "torch.where",
    "exp": "torch.exp",
    "log1p": "torch.log1p",
    "sqrt": "torch.sqrt",
    "tanh": "torch.tanh",
    "erf": "torch.erf",
    "abs": "torch.abs",
    "sigmoid": "torch.sigmoid",
    "softplus": "lambda x: F.softplus(x, threshold=40.0)",  # above, softplus(x) - x is below the last bit of x
}

KINKED = {"positive", "step", "where", "abs"}


def in_torch(text: str) -> Callable[..., Tensor]:
    """Return the value of a text with torch, and torch.nn.functional as F."""
    import torch
    import torch.nn.functional as F

    function: Callable[..., Tensor] = eval(text, {"torch": torch, "F": F})
    return function


def variables(formula: str) -> set[str]:
    """Return the variables of a formula. Raises ValueError for an unknown function (see the list above)."""
    nodes = list(ast.walk(ast.parse(formula, mode="eval")))
    called = {id(node.func): ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)}
    if unknown := sorted(set(called.values()) - set(FUNCTIONS)):
        raise ValueError(f"formula {formula!r}: expected functions among {', '.join(FUNCTIONS)}; found {unknown[0]}")
    return {node.id for node in nodes if isinstance(node, ast.Name) and id(node) not in called}


def smooth(formula: str) -> bool:
    """Whether a formula has derivatives of every order: no function of KINKED, no comparison (sqrt is not checked)."""
    nodes = list(ast.walk(ast.parse(formula, mode="eval")))
    kinks = any(isinstance(node, ast.Name) and node.id in KINKED for node in nodes)
    return not kinks and not any(isinstance(node, ast.Compare) for node in nodes)


def source(name: str, arguments: str, formula: str, number: str = "{}") -> str:
    """Return the text of a function with this formula; ``number``: template of a constant."""
    lines = ["m = y * f"] if "m" in variables(formula) else []
    lines.append(f"return {ast.unparse(Constants(number).visit(ast.parse(formula, mode='eval')))}")
    return "\n    ".join([f"def {name}({arguments}):", *lines]) + "\n"


def torch_function(arguments: str, formula: str) -> Callable[..., Tensor]:
    """Return the function of tensors with this formula; a constant has the shape and precision of the first one."""
    made: dict[str, Any] = {name: in_torch(text) for name, text in FUNCTIONS.items()}
    exec(source("function", arguments, formula), made)
    function: Callable[..., Tensor] = made["function"]
    if variables(formula):
        return function
    return lambda x, *others: x.new_full(x.shape, function(x, *others))


def chosen(kind: str, name: str, among: Mapping[str, Any]) -> Any:
    """Return the entry of a name in a dict. Raises ValueError, listing the choices, for an unknown name."""
    if name not in among:
        raise ValueError(f"{kind}: expected one of {', '.join(among)}; found {name}")
    return among[name]


class Constants(ast.NodeTransformer):
    """Replaces the constants of a formula by a template."""

    def __init__(self, form: str) -> None:
        self.form = form

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        """Return the constant in the template."""
        return ast.parse(self.form.format(ast.unparse(node)), mode="eval").body
