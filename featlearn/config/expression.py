"""Arithmetic on named numbers, written as text: ``1.6 * sqrt(1000 / dim)``.

The text is parsed by Python and computed here, node by node, in double precision; it is never run as code. What is not
in the tables below is refused, and so are long and deep texts: every value costs microseconds.
"""

from __future__ import annotations

import ast
import math
import operator
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

LONGEST, DEEPEST = 500, 50  # characters, and levels
OPERATORS: dict[type, Callable[..., float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: math.pow,
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
}


class ExpressionError(ValueError):
    """A text that is no expression, or one without a value; the message gives the reason."""


def signif(x: float, digits: float) -> float:
    """Return x rounded to so many significant decimal digits, 1 to 17. Raises ExpressionError for another count."""
    if digits not in range(1, 18):
        raise ExpressionError(f"signif(x, n) takes n = 1, ..., 17, found {digits:g}")
    return float(f"{x:.{int(digits) - 1}e}")


FUNCTIONS: dict[str, tuple[Callable[..., float], int, int]] = {  # with the least and the greatest number of arguments
    "sqrt": (math.sqrt, 1, 1),
    "log": (math.log, 1, 1),
    "exp": (math.exp, 1, 1),
    "abs": (abs, 1, 1),
    "min": (min, 2, LONGEST),
    "max": (max, 2, LONGEST),
    "floor": (math.floor, 1, 1),
    "ceil": (math.ceil, 1, 1),
    "round": (round, 1, 1),
    "signif": (signif, 2, 2),
}
CONSTANTS = {"pi": math.pi}


@dataclass(frozen=True, eq=False)
class Expression:
    """A parsed text, and the names in it in their order."""

    text: str
    names: tuple[str, ...]
    tree: ast.expr

    def value(self, numbers: Mapping[str, float]) -> int | float:
        """Return the value at these numbers, as an integer if it is one. Raises ExpressionError if it has none."""
        try:
            found = _value(self.tree, CONSTANTS | dict(numbers))
        except ExpressionError as error:
            at = ", ".join(f"{name} = {numbers[name]:g}" for name in self.names)
            raise ExpressionError(f"{error}{at and f' at {at}'}") from None
        return int(found) if found.is_integer() and abs(found) < 2**63 else found


@lru_cache(maxsize=4096)
def parsed(text: str) -> Expression:
    """Return a text as an expression. Raises ExpressionError with the reason if it is none."""
    if len(text) > LONGEST:
        raise ExpressionError(f"{len(text)} characters are too many: the limit is {LONGEST}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # Python warns of texts such as 1or 2
            tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise ExpressionError(f"not an expression: {getattr(error, 'msg', None) or error}") from None
    names = dict.fromkeys(_names(tree))
    return Expression(text, tuple(name for name in names if name not in CONSTANTS), tree)


def _names(node: ast.expr, level: int = 1) -> Iterator[str]:
    """Yield the names in a tree. Raises ExpressionError for what is not allowed in one."""
    if level > DEEPEST:
        raise ExpressionError(f"nested too deeply: the limit is {DEEPEST} levels")
    match node:
        case ast.Constant(value=int() | float()) if not isinstance(node.value, bool):
            return
        case ast.Name() | ast.Attribute(value=ast.Name()):
            yield ast.unparse(node)
        case ast.UnaryOp() | ast.BinOp() if type(node.op) in OPERATORS:
            for part in (node.operand,) if isinstance(node, ast.UnaryOp) else (node.left, node.right):
                yield from _names(part, level + 1)
        case ast.Call(func=ast.Name(id=name), keywords=[]) if name in FUNCTIONS:
            _, least, most = FUNCTIONS[name]
            if not least <= len(node.args) <= most:
                raise ExpressionError(f"{name}() takes {least} {'or more ' * (most > least)}arguments")
            for part in node.args:
                yield from _names(part, level + 1)
        case _:
            allowed = f"numbers, names, + - * / // % **, {', '.join(FUNCTIONS)} and pi"
            raise ExpressionError(f"{_shown(node)} is not allowed: expected {allowed}")


def _shown(node: ast.AST) -> str:
    text = ast.unparse(node)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _value(node: Any, numbers: Mapping[str, float]) -> float:
    """Return the value of a tree that ``_names`` has accepted."""
    function: Callable[..., float] = float
    match node:
        case ast.Constant():
            arguments = [node.value]
        case ast.Name() | ast.Attribute():
            arguments = [numbers[ast.unparse(node)]]
        case ast.Call(func=ast.Name(id=name)):
            function, arguments = FUNCTIONS[name][0], [_value(part, numbers) for part in node.args]
        case _:
            operands = [node.operand] if isinstance(node, ast.UnaryOp) else [node.left, node.right]
            function, arguments = OPERATORS[type(node.op)], [_value(part, numbers) for part in operands]
    try:
        found = float(function(*arguments))
    except ExpressionError:
        raise
    except ZeroDivisionError:
        raise ExpressionError(f"division by zero in {_shown(node)}") from None
    except OverflowError:
        found = math.inf
    except ValueError:
        raise ExpressionError(f"{_shown(node)} is not a real number") from None
    if not math.isfinite(found):
        raise ExpressionError(f"{_shown(node)} is too large")
    return found
