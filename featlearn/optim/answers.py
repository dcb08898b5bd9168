"""Checks of the return values of rules, schedules and trackers.

A wrong return value would fail later, in code that its author did not write; here the error names the method.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import getattr_static
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from featlearn.engines.protocol import Scalar, Vector


class AnswerError(TypeError):
    """A method returned an invalid value; place: file and line of the method, if known."""

    def __init__(self, method: Callable[..., Any], expected: str, found: str) -> None:
        name = getattr(method, "__qualname__", repr(method))
        super().__init__(f"{name} must return {expected}; found {found}")
        code = getattr(method, "__code__", None)
        self.place: tuple[str, int] | None = (code.co_filename, code.co_firstlineno) if code else None


def pair(method: Callable[..., Any], loss: Any, w: Vector, *rest: Any) -> tuple[Vector, Any]:
    """Return method(loss, w, ...): a Vector such as w, and a memory. Raises AnswerError."""
    answer = method(loss, w, *rest)
    if not isinstance(answer, tuple) or len(answer) != 2:
        raise AnswerError(method, "two things, a Vector and a memory", _described(answer))
    _like(method, answer[0], w, "a Vector and a memory, the Vector")
    return answer


def vector(method: Callable[..., Any], loss: Any, w: Vector, *rest: Any) -> Vector:
    """Return method(loss, w, ...): a Vector such as w. Raises AnswerError."""
    answer: Vector = method(loss, w, *rest)
    _like(method, answer, w, "a Vector")
    return answer


def number(method: Callable[..., Any], t: int) -> Scalar:
    """Return method(t): a number, or one per run. Raises AnswerError."""
    answer: Scalar = method(t)
    if isinstance(answer, bool) or not hasattr(answer, "__truediv__"):
        raise AnswerError(method, "a number", _described(answer))
    return answer


def columns(tracker: Callable[..., Any], view: Any, n_runs: int) -> dict[str, Tensor]:
    """Return tracker(view): a real tensor [b] or [b, length] for each name of a column. Raises AnswerError."""
    answer, method = tracker(view), getattr_static(type(tracker), "__call__")
    expected = f"a dict of tensors of real numbers, [{n_runs}] or [{n_runs}, length]: a row for each run of the block"
    if not isinstance(answer, dict):
        raise AnswerError(method, expected, _described(answer))
    for name, column in answer.items():
        tensor = hasattr(column, "cpu") and not column.is_complex() and column.ndim in (1, 2)
        if not isinstance(name, str) or not tensor or len(column) != n_runs:
            kind = f" of {column.dtype}" if hasattr(column, "cpu") and column.is_complex() else ""
            raise AnswerError(method, expected, f"{_described(column)}{kind} under {name!r}")
    return answer


def _like(method: Callable[..., Any], u: Any, w: Vector, what: str) -> None:
    """Raise AnswerError for a value that is not a Vector with the shapes of w."""
    if not isinstance(u, type(w)):
        raise AnswerError(method, f"{what} a combination of the parameters and their gradients", _described(u))
    shapes, asked = ([tuple(part.shape) for part in v.parts] for v in (u, w))
    factor = tuple(getattr(u.factor, "shape", ()))
    if shapes != asked:
        raise AnswerError(method, f"{what} with parts of shape {asked}", f"{shapes}")
    if factor not in ((), (1,), asked[0][:1]):
        raise AnswerError(method, f"{what} with one factor a run, {asked[0][:1]}", f"factors of shape {factor}")


def _described(answer: Any) -> str:
    shape = getattr(answer, "shape", None)
    if isinstance(answer, tuple):
        return f"({', '.join(type(part).__name__ for part in answer)})"
    return type(answer).__name__ if shape is None else f"{type(answer).__name__} of shape {tuple(shape)}"
