"""A step number that records how code uses it, so that one recording holds for every step with the same results.

A rule depends on the step t by comparing it (a window, t >= 5), by computing with it (every third step, t % 3 == 0) or
by using a value computed from it (a schedule). TracedStep replaces t, evaluates these operations, and records each
comparison and each value that is read. Code that is a function of its arguments does the same at any step with the same
results.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

Path = tuple[tuple[Callable[[Any, Any], Any], Any], ...]  # successive operations on t, with their operands
Question = tuple[Path, Callable[[Any, Any], bool], Any]  # a comparison of their result


class Trace:
    """The comparisons and values read of a step, with their results."""

    def __init__(self) -> None:
        self._answers: dict[Question, bool] = {}

    def step(self, t: int) -> Any:
        """Return a TracedStep for t that records in this trace."""
        return TracedStep(t, (), self)

    def ask(self, path: Path, value: Any, compare: Callable[[Any, Any], bool], other: Any) -> bool:
        """Return compare(value, other), and record it."""
        answer = self._answers[path, compare, other] = bool(compare(value, other))
        return answer

    def use(self, path: Path, value: Any) -> None:
        """Record that the value itself is read; NaN equals no other value."""
        self._answers[path, operator.eq, value] = True

    def holds(self, t: int) -> bool:
        """Whether all results are the same at step t."""
        try:
            for (path, compare, other), answer in self._answers.items():
                value: Any = t
                for operation, operand in path:
                    value = operation(value, operand)
                if compare(value, other) != answer:
                    return False
        except ArithmeticError:  # such as a division by zero
            return False
        return True


class TracedStep:
    """A number computed from a step. Combined with an int or a float it stays traced; anything else reads its value."""

    __array_ufunc__ = None  # numpy defers operations to it

    def __init__(self, value: Any, path: Path, trace: Trace) -> None:
        self._value, self._path, self._trace = value, path, trace

    def computed(self, operation: Callable[[Any, Any], Any], operand: Any) -> Any:
        """Return operation(self, operand)."""
        if type(operand) in (int, float):
            return TracedStep(operation(self._value, operand), (*self._path, (operation, operand)), self._trace)
        return operation(self.value(), operand)

    def compared(self, compare: Callable[[Any, Any], bool], other: Any) -> Any:
        """Return compare(self, other)."""
        if type(other) in (int, float):
            return self._trace.ask(self._path, self._value, compare, other)
        return compare(self.value(), other)

    def value(self) -> Any:
        """Return the number, which must be the same wherever the trace holds."""
        self._trace.use(self._path, self._value)
        return self._value


def _swapped(operation: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def swapped(a: Any, b: Any) -> Any:
        return operation(b, a)

    return swapped


def _method(name: str, function: Callable[[Any, Any], Any]) -> Callable[[TracedStep, Any], Any]:
    def method(self: TracedStep, other: Any) -> Any:
        return getattr(self, name)(function, other)

    return method


def _leaving(function: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: TracedStep, *rest: Any) -> Any:
        return function(self.value(), *rest)

    return method


for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod"):
    _operation = getattr(operator, _name)
    setattr(TracedStep, f"__{_name}__", _method("computed", _operation))
    setattr(TracedStep, f"__r{_name}__", _method("computed", _swapped(_operation)))
for _name in ("lt", "le", "gt", "ge", "eq", "ne"):
    setattr(TracedStep, f"__{_name}__", _method("compared", getattr(operator, _name)))
for _function in (operator.neg, operator.pos, operator.pow, operator.index, abs, bool, float, format, hash, int, str):
    setattr(TracedStep, f"__{_function.__name__.strip('_')}__", _leaving(_function))
setattr(TracedStep, "__rpow__", _leaving(_swapped(operator.pow)))  # noqa: B010
