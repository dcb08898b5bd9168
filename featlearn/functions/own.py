"""A user's own activation or loss, named ``file.py:Class`` in a config: a class that holds its formulas as text.

    class Swish:
        value = "z * sigmoid(2 * z)"
        slope = "sigmoid(2 * z) * (1 + 2 * z * sigmoid(-2 * z))"
        second = "4 * sigmoid(2 * z) * sigmoid(-2 * z) * (1 + z * (1 - 2 * sigmoid(2 * z)))"

The grammar is that of formulas.py. An activation is a function of z, a loss of the output f and the label y, or of the
margin m = y f. ``slope`` and ``second`` are the derivatives in z or f; without ``second`` it is 0 almost everywhere. An
activation may declare its ``degree`` q, where value(r z) = r^q value(z) for r > 0: fresh samples are then integrated
over their length exactly.

Within a run the class is known by the name of its module, which is that of its text (see custom.py), so that every
process that has the text finds it.
"""

from __future__ import annotations

import ast
import importlib
import re
from functools import cache
from pathlib import Path
from typing import Any

from featlearn.custom import CustomError, find_class, is_own, source_of
from featlearn.functions.activations import Activation
from featlearn.functions.activations import activation as built_in_activation
from featlearn.functions.formulas import FUNCTIONS
from featlearn.functions.losses import LossFunction
from featlearn.functions.losses import loss as built_in_loss

VARIABLES = {"activation": ("z",), "loss": ("f", "y", "m")}
ALLOWED = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.UAdd, ast.USub, ast.Lt, ast.LtE, ast.Gt, ast.GtE)
MEMBERS = ("value", "slope", "second", "degree")


def own_word(kind: str, word: str, folder: Path) -> str:
    """Return the name within a run of a class that a config names; a file is relative to ``folder``.

    kind: activation or loss. Raises CustomError if there is none, or if it is no function of this kind.
    """
    from featlearn.functions.trial import flaw  # imports torch

    cls = find_class(word, folder)
    name = source_of(cls).name
    if reason := _unfit(kind, cls):
        raise CustomError(f"{name} cannot be used here: {reason}")
    within = f"{cls.__module__}:{cls.__qualname__}"
    if reason := flaw(activation(within) if kind == "activation" else loss(within)):
        raise CustomError(f"{name} cannot be used here: {reason}")
    return within


def named_class(word: str) -> type:
    """Return the class of a name within a run."""
    module, _, name = word.partition(":")
    found: type = vars(importlib.import_module(module))[name]
    return found


def activation(name: str) -> Activation:
    """Return the activation of a name, built in or a user's. Raises ValueError for an unknown one."""
    return _own_activation(name) if is_own(name) else built_in_activation(name)


def loss(name: str) -> LossFunction:
    """Return the loss of a name, built in or a user's. Raises ValueError for an unknown one."""
    return _own_loss(name) if is_own(name) else built_in_loss(name)


@cache
def _own_activation(name: str) -> Activation:
    value, slope, second, degree = _members(named_class(name))
    return OwnActivation(name, value, slope, second, degree, "")


@cache
def _own_loss(name: str) -> LossFunction:
    value, slope, second, _ = _members(named_class(name))
    return OwnLoss(name, value, slope, second, "")


def _members(cls: type) -> list[Any]:
    return [getattr(cls, member, None) for member in MEMBERS]


class OwnActivation(Activation):
    """A user's activation; autograd differentiates its own formula, as torch has no function of its own for it."""

    @property
    def twin(self) -> Any:
        """The formula of the value."""
        return self.value


class OwnLoss(LossFunction):
    """A user's loss; autograd differentiates its own formula."""

    @property
    def _twin(self) -> Any:
        return self._value


def _unfit(kind: str, cls: type) -> str | None:
    """Return what is wrong with the text of a class, None if nothing is."""
    value, slope, second, degree = _members(cls)
    for member, text in (("value", value), ("slope", slope), ("second", second)):
        if text is None and member == "second":
            continue
        if not isinstance(text, str):
            return f"it lacks {member}, a formula as text" if text is None else f"{member} is no text: {_shown(text)}"
        if reason := _not_a_formula(text, VARIABLES[kind]):
            return f"{member} = {text!r:.80}: {reason}"
    if degree is not None and (kind == "loss" or type(degree) is not int or degree < 1):
        return "a loss has no degree" if kind == "loss" else f"degree is no integer >= 1: {_shown(degree)}"
    return None


def _shown(value: Any) -> str:
    """Write a value without an address in memory, which differs from run to run."""
    return f"{re.sub(r' at 0x[0-9a-f]+', '', repr(value)):.60}"


def _not_a_formula(text: str, variables: tuple[str, ...]) -> str | None:
    """Return why a text is no formula of these variables (see formulas.py), None if it is one."""
    try:
        nodes = list(ast.walk(ast.parse(text, mode="eval").body))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return f"not an expression: {getattr(error, 'msg', None) or error}"
    called = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
    for node in nodes:
        match node:
            case ast.Constant(value=int() | float()) if not isinstance(node.value, bool):
                pass
            case ast.Name(id=name) if id(node) in called and name not in FUNCTIONS:
                return f"there is no function {name}; there are {', '.join(FUNCTIONS)}"
            case ast.Name(id=name) if id(node) not in called and name not in variables:
                return f"there is no variable {name}; there is {' and '.join(variables)}"
            case ast.Call(func=ast.Name(id=name), keywords=[], args=arguments):
                if len(arguments) != (expected := 3 if name == "where" else 1):
                    return f"{name} takes {expected} argument{'s' * (expected > 1)}"
            case ast.Name() | ast.Load() | ast.UnaryOp() | ast.BinOp() | ast.Compare(ops=[_]) | ast.operator():
                if isinstance(node, ast.operator) and not isinstance(node, ALLOWED):
                    return "expected + - * / alone: a power is a product"
            case ast.unaryop() | ast.cmpop() if isinstance(node, ALLOWED):
                pass
            case _:
                return f"{ast.unparse(node):.40} is not allowed: expected variables, numbers, + - * /, <, >, functions"
    return None
