"""The query of a request, read as a config is: a dotted key and a value in YAML, each refused with the same sentence.

A request names built-in words only. Files, and classes of the user's own, come from the config of the command line.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from featlearn.config.problems import ConfigError, Problem, show, suggest
from featlearn.config.reference import in_yaml
from featlearn.config.sections import SECTIONS
from featlearn.config.source import read_yaml
from featlearn.custom import is_own
from featlearn.explore.controls import MOST, SHOWN, START, Control, alternatives, controls, kind_of, of_kind

TRACKERS = ("loss", "decomposition", "test_error")
RECORDS = 16  # of a run whose dynamics are drawn
GRIDS = (12, 24, 48)  # cells along an axis of the phase diagram, from coarse to fine
MOST_SEEDS = 10
PAGE: Mapping[str, Any] = {  # keys of the page itself, and their defaults
    "x": "data.signal_norm",
    "x.low": None,
    "x.high": None,
    "y": "data.dim",
    "y.low": None,
    "y.high": None,
    "seeds": 3,
    "cells": GRIDS[0],
    "quantity": "test_error",
}
AXES = {"data.dim": (100, 10**6), "data.signal_norm": (0, 10)}  # ends, where they are not those of the slider
Config = dict[str, Any]


@dataclass(frozen=True)
class Axis:
    """An axis of the phase diagram: its control and its ends."""

    control: Control
    low: float
    high: float

    @property
    def key(self) -> str:
        """The dotted key."""
        return self.control.key

    def values(self, cells: int) -> Config:
        """Return the axis as a sweep has it."""
        word = "geomspace" if self.control.scale == "log" else "linspace"
        return {word: [*map(_short, (self.low, self.high)), cells]}


def _short(number: float) -> float:
    return int(number) if float(number).is_integer() and abs(number) < 1e15 else number


@dataclass(frozen=True)
class Setting:
    """What a request asks for: a base run, SGD beside its rule, and the axes of the phase diagram.

    head: the name, and what else stands at the top of a config. sections: data, network, optimizer and train.
    """

    head: Config
    sections: Mapping[str, Config]
    x: Axis
    y: Axis
    seeds: int
    cells: int
    quantity: str

    @property
    def rules(self) -> list[Config]:
        """SGD with what it shares with the rule, and the rule; SGD alone if that is the rule."""
        rule = self.sections["optimizer"]
        own = {one.name for one in controls("optimizer", SECTIONS["optimizer"].table["sgd"])}
        sgd = {"name": "sgd", "lr": START["optimizer.lr"]} | {k: v for k, v in rule.items() if k in own}
        return [rule] if rule.get("name") == "sgd" else [sgd, rule]

    def dynamics(self) -> Config:
        """Return the config of the base run, a few seeds of each rule."""
        n_steps = self.sections["train"].get("n_steps")
        every = max(1, math.ceil(n_steps / RECORDS)) if isinstance(n_steps, int) else 1
        return self._config(every, {"optimizer": self.rules, "seed": self._seeds})

    def single_rules(self, config: Config) -> list[Config]:
        """Return a config of a sweep over the rules as one config for each of them."""
        rest = {key: axis for key, axis in config["sweep"].items() if key != "optimizer"}
        return [{**config, "optimizer": rule, "sweep": rest} for rule in self.rules]

    def windows(self) -> list[int]:
        """Return the steps at which the phase of the rule starts or stops."""
        rule = self.sections["optimizer"]
        return [end for key in ("start", "stop") if isinstance(end := rule.get(key), int) and end > 0]

    def panels(self) -> list[Config]:
        """Return a config for the panel of each rule; an axis that a rule lacks is left out."""
        found = []
        for rule in self.rules:
            axes = {axis.key: axis.values(self.cells) for axis in (self.x, self.y) if _has(rule, axis.key)}
            panel = self._over_axes({**axes, "seed": self._seeds})
            found.append({**panel, "optimizer": rule})
        return found

    def phase(self) -> Config:
        """Return the config of the whole phase diagram, as one sweep: the runs of all ``panels``."""
        axes, rules = {}, [dict(rule) for rule in self.rules]
        for axis in (self.x, self.y):
            lacking = [rule for rule in rules if not _has(rule, axis.key)]
            if not lacking:
                axes[axis.key] = axis.values(self.cells)
                continue
            for rule in rules:
                if rule not in lacking:
                    rule[axis.key.partition(".")[2]] = axis.values(self.cells)
        return self._over_axes({**axes, "optimizer": rules, "seed": self._seeds})

    def _over_axes(self, sweep: Config) -> Config:
        """Return the config of a sweep over the axes; a key that follows from one of them is left to it."""
        config = self._config(self._last, sweep)
        kind = kind_of("data", self.sections["data"])
        others = alternatives(kind.cls) if kind else ()
        swept = [key for key in others if f"data.{key}" in (self.x.key, self.y.key)]
        free = {key: None for key in others if swept and key not in swept}
        return {**config, "data": {**config["data"], **free}}

    @property
    def _last(self) -> int:
        """How often to record for the first and the last step alone."""
        swept = "train.n_steps" in (self.x.key, self.y.key)
        return MOST["train.n_steps"] if swept else int(self.sections["train"].get("n_steps") or 1)

    @property
    def _seeds(self) -> Config:
        first = int(self.head.get("seed", 0))
        return {"range": [first, first + self.seeds]}

    def _config(self, every: int, sweep: Config) -> Config:
        record = {"every": every, "trackers": [*TRACKERS]}
        return {**self.head, **self.sections, "record": record, "sweep": sweep}


def _has(rule: Config, key: str) -> bool:
    """Whether a run with this rule has a key: one of another section, or of the rule."""
    section, _, name = key.partition(".")
    kind = kind_of("optimizer", rule)
    return section != "optimizer" or kind is None or name in kind.parameters


def as_yaml(config: Config, comment: str) -> str:
    """Return a config as a file for ``featlearn sweep``."""
    lines = [f"# {comment}", *(f"{key}: {in_yaml(value)}" for key, value in config.items() if key != "sweep")]
    lines += ["sweep:", *(f"  {key}: {in_yaml(axis)}" for key, axis in config["sweep"].items())]
    return "\n".join([*lines, ""])


def read(query: Iterable[tuple[str, str]], start: Mapping[str, Config]) -> Setting:
    """Read a query over the config ``start``: its sections, and "" for its head. Raises ConfigError with all problems.

    A key of another kind than that of ``start`` keeps what both kinds have; other required keys get a usual value.
    """
    problems: list[Problem] = []
    given: Config = {}
    for key, text in query:
        if key in given:
            problems.append(Problem("", key, "given twice"))
        given[key] = _value(key, text, start, problems)
    page = {**PAGE, **{key: given.pop(key) for key in PAGE if key in given}}
    sections = {name: _section(name, start.get(name, {}), given) for name in SHOWN}
    known = {one.key: one for name in SHOWN for one in _controls(name, sections[name])}
    naming = {f"{name}.{word}" for name in SHOWN for word in (SECTIONS[name].word, "base") if word}
    everywhere = [*known, *naming, *PAGE, "seed"]
    head = {**start.get("", {}), **({"seed": given.pop("seed")} if "seed" in given else {})}
    for key in given:
        if key not in known and key not in naming:
            problems.append(Problem("", key, f"no key of this page; {suggest(key, everywhere, everywhere)}"))
    _refuse_large(sections, start, problems)
    x, y = (_axis(name, page, known, problems) for name in ("x", "y"))
    if x and y and x.key == y.key:
        problems.append(Problem("", "y", f"both axes are {x.key}: choose another"))
    seeds = _whole("seeds", page["seeds"], 1, MOST_SEEDS, problems)
    if not isinstance(head.get("seed", 0), int) or not 0 <= head.get("seed", 0) < 2**62:
        problems.append(Problem("", "seed", f"expected an integer >= 0, found {show(head['seed'])}"))
    if page["cells"] not in GRIDS:
        problems.append(Problem("", "cells", f"expected one of {GRIDS}, found {show(page['cells'])}"))
    if problems or not (x and y):
        raise ConfigError(problems)
    return Setting(head, sections, x, y, seeds, int(page["cells"]), str(page["quantity"]))


def _value(key: str, text: str, start: Mapping[str, Config], problems: list[Problem]) -> Any:
    """Return a value: a number, a word, a switch or null."""
    try:
        node = read_yaml(text, "", key, problems)
    except ConfigError as error:
        problems += [Problem("", key, problem.message) for problem in error.problems]
        return None
    value = node.plain if node else None
    section, _, name = key.partition(".")
    if isinstance(value, dict | list):
        problems.append(Problem("", key, f"expected a single value, found {show(value)}"))
        return None
    if is_own(value) and value != start.get(section, {}).get(name):
        problems.append(Problem("", key, f"expected a built-in word, found {show(value)}: name your own in the config"))
        return None
    return value


def _section(name: str, start: Config, given: Config) -> Config:
    """Return a section with the given keys, and a usual value for what its kind requires."""
    own = {key.partition(".")[2]: value for key, value in given.items() if key.startswith(f"{name}.")}
    word = SECTIONS[name].word
    chosen = {**start, **{key: own[key] for key in (word, "base") if key and key in own}}
    kind = kind_of(name, chosen)
    if kind is None:
        return {**start, **own}
    kept = {key: value for key, value in chosen.items() if key in kind.keys}
    if word:
        kept = {word: chosen.get(word, SECTIONS[name].default), **kept}
    for one in of_kind(name, kind):
        if one.required and one.name not in kept:
            kept[one.name] = usual(one)
    return {**kept, **_alternatives(name, kind.cls, kept, own), **own}


def _alternatives(name: str, cls: type, kept: Config, own: Config) -> Config:
    """Return the keys of which one is given: that of the request, else that of the start, else the usual one."""
    keys = alternatives(cls) if name == "data" else ()
    asked = [key for key in keys if own.get(key) is not None]
    chosen = asked or [key for key in keys if kept.get(key) is not None] or [k for k in keys if f"data.{k}" in START]
    return {key: kept.get(key) or START.get(f"data.{key}") if key in chosen else None for key in keys}


def usual(one: Control) -> Any:
    """Return a usual value of a control."""
    if one.default is not None:
        return one.default
    if not one.is_number:
        return one.words[0] if one.words else None
    assert one.low is not None and one.high is not None
    middle = math.sqrt(one.low * one.high) if one.scale == "log" else (one.low + one.high) / 2
    return round(middle) if one.integer else middle


def _controls(name: str, values: Config) -> tuple[Control, ...]:
    kind = kind_of(name, values)
    return of_kind(name, kind) if kind else ()


def _refuse_large(sections: Mapping[str, Config], start: Mapping[str, Config], problems: list[Problem]) -> None:
    """Refuse numbers above the limits of the page, unless the config of the command line has them."""
    for key, most in MOST.items():
        name, _, last = key.partition(".")
        found, own = sections[name].get(last), start.get(name, {}).get(last)
        allowed = max(most, own) if isinstance(own, int) else most
        if isinstance(found, int | float) and found > allowed:
            problems.append(Problem("", key, f"this page computes at most {allowed}, found {show(found)}; sweep more"))


def _axis(name: str, page: Config, known: Mapping[str, Control], problems: list[Problem]) -> Axis | None:
    """Return an axis; None if there is a problem with it."""
    one = known.get(page[name]) if isinstance(page[name], str) else None
    if one is None or not one.is_number:
        numbers = [key for key, c in known.items() if c.is_number]
        found = show(page[name])
        problems.append(Problem("", name, f"no axis: {found}; {suggest(str(page[name]), numbers, numbers)}"))
        return None
    ends = [page[f"{name}.low"], page[f"{name}.high"]]
    usual_ends = AXES.get(one.key, (one.low, one.high))
    low, high = (end if end is not None else other for end, other in zip(ends, usual_ends, strict=True))
    numeric = all(isinstance(end, int | float) and not isinstance(end, bool) and math.isfinite(end) for end in (low, high))
    if not numeric or not low < high or (one.scale == "log" and low <= 0):
        problems.append(Problem("", f"{name}.low", f"expected low < high{', both > 0' * (one.scale == 'log')}"))
        return None
    if high > MOST.get(one.key, math.inf):
        problems.append(Problem("", f"{name}.high", f"this page computes at most {MOST[one.key]}; sweep more"))
        return None
    return Axis(one, low, high)


def _whole(key: str, value: Any, least: int, most: int, problems: list[Problem]) -> int:
    """Return an integer within limits."""
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
        return value
    problems.append(Problem("", key, f"expected an integer from {least} to {most}, found {show(value)}"))
    return least
