"""The axes of a sweep: the keys that vary, and their values.

An axis is a list, {linspace: [first, last, how many]}, {geomspace: [first, last, how many]}, or {range: [start, stop,
step]} as in Python. Spaced values are exact (see spacing.py); for an integer key they are rounded and duplicates are
removed, with a warning. ``zip: {key: axis, ...}`` moves keys together; a list of such mappings makes several axes. In a
list of whole sections a key may list values: {name: sam, rho: [0.1, 0.2]} stands for two sections.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from featlearn.config.parameters import STRICT, integral, single
from featlearn.config.problems import Problem, show, suggest
from featlearn.config.sections import SECTIONS, known_keys
from featlearn.config.source import BROKEN, Node
from featlearn.config.spacing import geomspace, linspace
from featlearn.types import Bound, Positive

Known = Mapping[str, Any]  # the type of each key that can be swept
MAX_VALUES = 10**6  # of an axis
MAX_RUNS = 10**6


@dataclass(frozen=True)
class Axis:
    """Keys that move together (one unless zipped) and the points of the axis: a node for every key.

    spacing: list, linspace, geomspace or range, for the first key.
    """

    keys: tuple[str, ...]
    points: tuple[tuple[Node, ...], ...]
    spacing: str

    def __len__(self) -> int:
        return len(self.points)

    @property
    def values(self) -> tuple[tuple[Any, ...], ...]:
        """The points as plain values."""
        return tuple(tuple(node.plain for node in point) for point in self.points)


@dataclass(frozen=True)
class Spacing:
    """A rule for many values: the type of its arguments, their usage, and the function that returns the values."""

    arguments: Any
    usage: str
    values: Callable[..., Sequence[float]]


def _range(*arguments: int) -> Sequence[int]:
    values = range(*arguments)
    if len(values[: MAX_VALUES + 1]) > MAX_VALUES:
        raise ValueError(f"more than {MAX_VALUES} values")
    return values


_HowMany = Annotated[int, Bound(ge=1, le=MAX_VALUES)]
SPACINGS = {
    "linspace": Spacing(tuple[float, float, _HowMany], "[first, last, how many]", linspace),
    "geomspace": Spacing(tuple[Positive, Positive, _HowMany], "[first > 0, last > 0, how many]", geomspace),
    "range": Spacing(
        Annotated[tuple[int, ...], Field(min_length=1, max_length=3)], "[start, stop, step], integers", _range
    ),
}


def read_axes(sweep: Node | None, problems: list[Problem], own: Known | None = None) -> tuple[Axis, ...]:
    """Read the section ``sweep``; ``own`` has the keys of user-defined rules, with their types.

    An axis that cannot be read has one value, BROKEN; an axis of an unknown key is dropped.
    """
    if sweep is None or sweep.value is None or sweep.value is BROKEN:
        return ()
    if not isinstance(sweep.value, dict):
        problems.append(sweep.problem(f"expected a mapping of keys to axes, found {show(sweep.plain)}"))
        return ()
    known = {**known_keys(), **(own or {})}
    groups = list(_groups(sweep, known, problems))
    _refuse_repeated([axis for group in groups for axis in group.items()], problems)
    axes = tuple(axis for group in groups if (axis := _axis(group, known, problems)))
    n_runs = math.prod(map(len, axes))
    if n_runs <= MAX_RUNS:
        return axes
    problems.append(sweep.problem(f"{n_runs} runs are too many: the limit is {MAX_RUNS}"))
    return tuple(replace(axis, points=axis.points[:1]) for axis in axes)


def _groups(sweep: Node, known: Known, problems: list[Problem]) -> Iterator[dict[str, Node]]:
    """Yield the keys that move together with their nodes; null and unknown keys are left out."""
    for key, node in sweep.value.items():
        zipped = node.value if isinstance(node.value, list) else [node]
        for item in zipped if key == "zip" else [Node({key: node}, node.place, sweep.key)]:
            if isinstance(item.value, dict):
                yield {k: n for k, n in item.value.items() if n.value is not None and _is_known(k, n, known, problems)}
            elif item.value is not None and not item.broken:
                problems.append(item.problem(f"expected a mapping of keys to axes, found {show(item.plain)}"))


def _is_known(key: str, node: Node, known: Known, problems: list[Problem]) -> bool:
    if key == "name":
        problems.append(node.problem("cannot be swept: it does not affect a run"))
    elif key not in known:
        problems.append(node.problem(f"no such key; {suggest(key, known, known)}"))
    return key != "name" and key in known


def _refuse_repeated(axes: list[tuple[str, Node]], problems: list[Problem]) -> None:
    """Refuse a key that equals, contains or lies inside an earlier one; it may lie inside a whole section."""
    swept: dict[str, tuple[str, Node]] = {}  # an axis by its key
    within: dict[str, tuple[str, Node]] = {}  # an axis by every key that contains its own
    for key, node in axes:
        outer = [parent for parent in _parents(key) if parent not in SECTIONS]
        earlier = [swept[k] for k in (key, *outer) if k in swept] + ([within[key]] if key in within else [])
        for other, first in earlier[:1]:
            problems.append(node.problem(f"swept twice: {other} at {first.place} already"))
        swept.setdefault(key, (key, node))
        for parent in outer:
            within.setdefault(parent, (key, node))


def _parents(key: str) -> list[str]:
    """Return the dotted keys that contain a key."""
    parts = key.split(".")
    return [".".join(parts[:i]) for i in range(1, len(parts))]


def _axis(group: Mapping[str, Node], known: Known, problems: list[Problem]) -> Axis | None:
    """Return the axis of keys that move together, None if there are none."""
    if not group:
        return None
    columns = {key: list(_points(key, node, known, problems)) for key, node in group.items()}
    lengths = {key: len(nodes) for key, nodes in columns.items()}
    first = next(iter(group.values()))
    if len(set(lengths.values())) > 1:
        if not any(node.broken for nodes in columns.values() for node in nodes):
            problems.append(first.problem(f"keys of one zip need equally many values, found {show(lengths)}"))
        columns = {key: [_broken(node)] for key, node in group.items()}
    points = tuple(zip(*columns.values(), strict=True))
    _refuse_equal(points, problems)
    return Axis(tuple(columns), points, next(iter(first.value), "") if isinstance(first.value, dict) else "list")


def _broken(node: Node) -> Node:
    return Node(BROKEN, node.place, node.key)


def _refuse_equal(points: Sequence[tuple[Node, ...]], problems: list[Problem]) -> None:
    seen: dict[Any, Node] = {}
    for point in points:
        mark = tuple(_mark(node.plain) for node in point)
        first = seen.setdefault(mark, point[0])
        if first is not point[0] and not any(node.broken for node in point):
            problems.append(point[0].problem(f"equal to {first.key}"))


def _mark(value: Any) -> Any:
    """Return a hashable that compares as the value does: 1 equals 1.0, and the order of a mapping does not matter."""
    return json.dumps(value, sort_keys=True, default=repr) if isinstance(value, dict | list) else value


def _points(key: str, node: Node, known: Known, problems: list[Problem]) -> Iterator[Node]:
    """Yield the values of a key; a whole section once for every combination of the values listed inside it."""
    for value in _values(known[key], node, problems):
        inside = value.value.items() if key in SECTIONS and isinstance(value.value, dict) else ()
        listed = {k: _values(known[f"{key}.{k}"], n, problems) for k, n in inside if _lists(known.get(f"{key}.{k}"), n)}
        if (count := math.prod(map(len, listed.values()))) > MAX_VALUES:
            problems.append(value.problem(f"{count} combinations are too many: the limit is {MAX_VALUES}"))
            listed = {k: nodes[:1] for k, nodes in listed.items()}
        for choice in product(*listed.values()):
            chosen = dict(zip(listed, choice, strict=True))
            yield Node({**value.value, **chosen}, value.place, value.key) if listed else value


def _lists(hint: Any, node: Node) -> bool:
    """Whether a node lists values of a key that takes a single one."""
    spaced = isinstance(node.value, dict) and not SPACINGS.keys().isdisjoint(node.value)
    return (isinstance(node.value, list) or spaced) and single(hint)


def _values(hint: Any, node: Node, problems: list[Problem]) -> list[Node]:
    """Return the values of one key, one BROKEN value if there is a problem with them."""
    if isinstance(node.value, list) and node.value:
        return node.value
    if not node.broken:
        try:
            return _spacing_values(hint, node, problems)
        except ValueError as error:
            problems.append(node.problem(str(error)))
    return [_broken(node)]


def _spacing_values(hint: Any, node: Node, problems: list[Problem]) -> list[Node]:
    """Return the values of an axis of this type that is written as a rule. Raises ValueError with the reason."""
    word = next(iter(node.value), "") if isinstance(node.value, dict) else ""
    if word not in SPACINGS or len(node.value) > 1:
        known = ", ".join(f"{{{name}: ...}}" for name in SPACINGS)
        raise ValueError(f"expected a list of values, {known}, found {show(node.plain)}")
    spacing, given = SPACINGS[word], node.value[word].plain
    try:
        arguments = TypeAdapter(spacing.arguments, config=STRICT).validate_python(_as_tuple(given))
    except ValidationError:
        raise ValueError(f"expected {word}: {spacing.usage}, found {show(given)}") from None
    values = spacing.values(*arguments)
    if integral(hint):
        values, asked = list(dict.fromkeys(round(value) for value in values)), len(values)
        if len(values) < asked:
            few = f"rounding to integers leaves {len(values)} of {asked} values"
            problems.append(replace(node.problem(few), caution=True))
    if not values:
        raise ValueError(f"has no values: {word}: {show(given)}")
    return [Node(value, node.place, f"{node.key}[{i}]") for i, value in enumerate(values)]


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
