"""The combinations of a sweep: the sections of each run.

A section depends on few axes, so it is read once for every combination of these and shared by the runs that have it:
checking 100 x 100 x 10 runs reads 10,000 data sections, 10 seeds and one network.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import product

from featlearn.config.axes import Axis
from featlearn.config.checks import CAUTIONS, CHECKS, Check, config_name, conflicts
from featlearn.config.files import put
from featlearn.config.formulas import Resolver, Uses, formulas
from featlearn.config.own import own_keys
from featlearn.config.parameters import LARGEST
from featlearn.config.parsed import ParsedSection, as_mapping, read_section
from featlearn.config.problems import Problem, show
from featlearn.config.resolve import Sections
from featlearn.config.sections import SECTIONS, known_keys, split
from featlearn.config.source import Node
from featlearn.runs import RunConfig

Choice = Sequence[int | None]  # the point on every axis; None for the base
MOST_SETTINGS = 2**14  # that are kept while their seeds vary


@dataclass(frozen=True)
class Move:
    """A key that axis number ``axis`` varies: its section, its path inside, and its node at every point."""

    section: str
    path: list[str]
    axis: int
    nodes: Sequence[Node]


def moves(axes: Sequence[Axis]) -> list[Move]:
    """Return the keys that axes vary: whole sections first, then the keys inside them."""
    found = [
        Move(*split(key), number, [point[i] for point in axis.points])
        for number, axis in enumerate(axes)
        for i, key in enumerate(axis.keys)
    ]
    return sorted(found, key=lambda move: len(move.path))


class Grid:
    """All combinations of the axes' points over a base, in the order of the file, the last axis varying fastest.

    A key set only by the sweep has its first value in the base.
    """

    def __init__(self, tree: Node, axes: Sequence[Axis]) -> None:
        self.axes = axes
        all_moves = moves(axes)
        self._seeds = next((number for number, axis in enumerate(axes) if _is_seeds(axis)), None)
        reads = [move for move in all_moves if move.axis != self._seeds]
        self._moves = {name: [move for move in reads if move.section == name] for name in SECTIONS}
        written = [(key, node) for key, node in _written(tree, reads) if any(True for _ in formulas(node))]
        self._known = {**known_keys(), **own_keys(_whole(tree, reads))} if written else {}
        self._uses = Uses(written, self._known)
        self._axes = {name: self._axes_of(name) for name in SECTIONS}
        self._parsed: dict[tuple[str, tuple[int | None, ...]], ParsedSection] = {}
        for move in all_moves:
            way = [move.section, *move.path] if move.section else move.path
            tree = tree if _has_value(tree, way) else put(tree, way, move.nodes[0])
        self._tree = tree

    def _axes_of(self, name: str) -> list[int]:
        """Return the axes that a section depends on: those of its keys, and of what its formulas use."""
        used = self._uses.of(name) if self._uses and name else ()
        others = (number for number, axis in enumerate(self.axes) if number != self._seeds and _touch(axis.keys, used))
        return sorted({*(move.axis for move in self._moves[name]), *others})

    def _with_used(self, keys: Iterable[str]) -> list[str]:
        """Return keys, and those that formulas at them use."""
        return [*keys, *(used for key in keys if self._uses for used in self._uses.of(key))]

    def __len__(self) -> int:
        return math.prod(map(len, self.axes))

    def choices(self) -> Iterator[Choice]:
        """Yield every combination."""
        return product(*[range(len(axis)) for axis in self.axes])

    def sections(self, choice: Choice) -> Sections:
        """Return the sections of one run."""
        parts = {name: tuple([choice[axis] for axis in axes]) for name, axes in self._axes.items()}
        return Sections({name: self._read(name, part) for name, part in parts.items()}, self._seed(choice))

    def _seed(self, choice: Choice) -> int | None:
        """Return the seed if an axis of its own varies it."""
        point = None if self._seeds is None else choice[self._seeds]
        return None if self._seeds is None or point is None else self.axes[self._seeds].points[point][0].value

    def runs(self) -> Iterator[RunConfig]:
        """Yield the run of every combination. Runs that differ in their seeds alone share all else."""
        settings: dict[Choice, RunConfig] = {}
        for choice in self.choices():
            key = tuple(point for axis, point in enumerate(choice) if axis != self._seeds)
            setting = settings.get(key)
            if setting is None:
                if len(settings) == MOST_SETTINGS:
                    settings.clear()
                setting = settings[key] = self.sections(choice).run()
            seed = self._seed(choice)
            yield setting if seed is None else setting.with_seed(seed)

    def base(self) -> Sections:
        """Return the sections of the base, with no axis applied."""
        return self.sections([None] * len(self.axes))

    def problems(self) -> list[Problem]:
        """Return all problems of all runs: those of single sections, else those between sections."""
        base = self.base()
        found = [problem for parsed in base.parsed.values() for problem in parsed.problems]
        for name, axes in self._axes.items():
            parts = product(*[range(len(self.axes[axis])) for axis in axes])
            found += self._of_formulas(name, parts) if self._uses.has(name) else self._of_parts(name, parts)
        return (found + conflicts(base, CHECKS)) or self._conflicts(CHECKS)

    def _of_parts(self, name: str, parts: Iterable[tuple[int, ...]]) -> list[Problem]:
        return [problem for part in parts for problem in self._read(name, part).problems]

    def _of_formulas(self, name: str, parts: Iterable[tuple[int, ...]]) -> list[Problem]:
        """Return the problems of a section with formulas, one a key, which their values would make many."""
        found = {
            (problem.place, problem.key): problem
            for problem in self._read(name, (None,) * len(self._axes[name])).problems
        }
        for problem in self._of_parts(name, parts):
            found.setdefault((problem.place, problem.key), problem)
        return list(found.values())

    def cautions(self) -> list[Problem]:
        """Return warnings: runs that are valid but probably not intended."""
        return [*(conflicts(self.base(), CAUTIONS) or self._conflicts(CAUTIONS)), *self._other_draws()]

    def _other_draws(self) -> Iterator[Problem]:
        """Warn of optimizers compared on different data, because their engines need different sampling."""
        by_sampling: dict[str, dict[str, None]] = {}
        for choice in product(*[range(len(axis) if _touch(axis.keys, ["optimizer"]) else 1) for axis in self.axes]):
            sections = self.sections(choice)
            name = f"{config_name(sections.parsed['optimizer'].object)} in the engine {sections.engine}"
            by_sampling.setdefault(sections.sampling, {})[name] = None
        if len(by_sampling) > 1:
            listing = "; ".join(f"sampling {word}: {', '.join(names)}" for word, names in by_sampling.items())
            node = _section_node(self._tree, "optimizer")
            yield node.problem(
                f"runs of one seed differ in data and initial weights, not only in optimizer ({listing}): "
                "engine: weights gives all runs the same"
            )

    def _conflicts(self, every: Sequence[Check]) -> list[Problem]:
        """Return the problems that the checks ``every`` find, each with the number of combinations that have it.

        A combination with several problems of one key counts once. Only checks that depend on some axis are made,
        over only those axes on which some check depends.
        """
        every = [(tuple(self._with_used(keys)), check) for keys, check in every]
        deciding = [key for keys, _ in every for key in keys]
        moving = [key for axis in self.axes for key in axis.keys]
        checks = [(keys, check) for keys, check in every if _touch(keys, moving)]
        ranges = [range(len(axis) if _touch(axis.keys, deciding) else 1) for axis in self.axes]
        first: dict[tuple[str, str], tuple[Problem, Sequence[int]]] = {}
        count: Counter[tuple[str, str]] = Counter()
        for choice in product(*ranges):
            found = conflicts(self.sections(choice), checks)
            for problem in found:
                first.setdefault((problem.place, problem.key), (problem, choice))
            count.update({(problem.place, problem.key) for problem in found})
        total = math.prod(map(len, ranges))
        return [self._counted(*first[at], f"{count[at]} of {total}") for at in first]

    def _counted(self, problem: Problem, choice: Sequence[int], share: str) -> Problem:
        """Return the problem with the share of combinations that have it, and the first combination."""
        points = [(axis.keys, axis.points[i]) for axis, i in zip(self.axes, choice, strict=True)]
        at = [f"{key} = {show(node.plain)}" for point in points for key, node in zip(*point, strict=True)]
        return replace(problem, message=f"{problem.message} (in {share} combinations, first at {', '.join(at)})")

    def _read(self, name: str, part: tuple[int | None, ...]) -> ParsedSection:
        """Return a section with its axes at the points ``part``; each is read once."""
        parsed = self._parsed.get((name, part))
        if parsed is None:
            points = dict(zip(self._axes[name], part, strict=True))
            problems = list[Problem]()
            if self._uses.has(name):
                node = Resolver(cache(lambda other: self._raw(other, points)), self._known).section(name, problems)
            else:
                node = self._raw(name, points)
            parsed = read_section(SECTIONS[name], node)
            parsed = replace(parsed, problems=(*problems, *parsed.problems)) if problems else parsed
            self._parsed[name, part] = parsed
        return parsed

    def _raw(self, name: str, points: Mapping[int, int | None]) -> Node:
        """Return a section as written, with these of its axes at these points; the base is taken for the others."""
        node = _section_node(self._tree, name)
        for move in self._moves[name]:
            point = points.get(move.axis)
            if point is not None:
                node = put(as_mapping(SECTIONS[name], node), move.path, move.nodes[point])
        return node


def _whole(tree: Node, moved: Iterable[Move]) -> Node:
    """Return a base and all that axes put into it as one node."""
    return Node([tree, *(node for move in moved for node in move.nodes)], tree.place)


def _written(tree: Node, moved: Iterable[Move]) -> Iterator[tuple[str, Node]]:
    """Yield every key of a section but the head, with the nodes that stand there in some run."""
    sections = [(name, _section_node(tree, name)) for name in filter(None, SECTIONS)]
    for move in moved:
        if not move.section:
            continue
        key = ".".join([move.section, *move.path[:1]])
        yield from ((key, node) for node in move.nodes if move.path)
        sections += [(move.section, node) for node in move.nodes if not move.path]
    for name, node in sections:
        inside = node.value.items() if isinstance(node.value, dict) else ()
        yield from ((f"{name}.{key}", child) for key, child in inside)


def _is_seeds(axis: Axis) -> bool:
    """Whether an axis varies the seed alone, and all its values are seeds: these need no reading one by one."""
    seeds = (node.value for point in axis.points for node in point)
    return axis.keys == ("seed",) and all(type(seed) is int and 0 <= seed < LARGEST for seed in seeds)


def _touch(keys: Iterable[str], others: Iterable[str]) -> bool:
    """Whether some key equals, contains or lies inside one of the others."""
    return any(f"{a}.".startswith(f"{b}.") or f"{b}.".startswith(f"{a}.") for a in keys for b in others)


def _has_value(tree: Node, way: Sequence[str]) -> bool:
    """Whether the tree has a value at this path."""
    child = tree.value.get(way[0]) if isinstance(tree.value, dict) else None
    if child is None or child.value is None:
        return False
    return len(way) == 1 or _has_value(child, way[1:])


def _section_node(tree: Node, name: str) -> Node:
    """Return the node of a section; the head is every key outside the sections."""
    if name:
        return tree.value.get(name) or Node({}, tree.place, name)
    return Node({key: node for key, node in tree.value.items() if key not in SECTIONS}, tree.place)
