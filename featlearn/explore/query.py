"""The query of a request, read as a config is: a dotted key and a value in YAML, each refused with the same sentence.

A request names built-in words only. Files, and classes of the user's own, come from the config of the command line.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, TypeGuard

from featlearn.config.files import node_of
from featlearn.config.parsed import read_section
from featlearn.config.problems import ConfigError, Problem, show, suggest
from featlearn.config.sections import SECTIONS
from featlearn.config.source import read_yaml
from featlearn.custom import is_own
from featlearn.explore.controls import FIRST, MOST, SHOWN, START, Control, alternatives, kind_of, of_kind
from featlearn.explore.setting import Axis, Config, Setting

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
    if problems:
        raise ConfigError(problems)
    asked = {key: given.pop(key) for key in PAGE if key in given}
    sections = {name: _section(name, start.get(name, {}), given) for name in SHOWN}
    _refuse_unknown_kinds(sections, start)
    known = {one.key: one for name in SHOWN for one in _controls(name, sections[name])}
    naming = {f"{name}.{word}" for name in SHOWN for word in (SECTIONS[name].word, "base") if word}
    everywhere = [*known, *naming, *PAGE, "seed"]
    head = {**start.get("", {}), **({"seed": given.pop("seed")} if "seed" in given else {})}
    for key in given:
        if key not in known and key not in naming:
            problems.append(Problem("", key, f"no key of this page; {suggest(key, everywhere, everywhere)}"))
    _refuse_large(sections, start, problems)
    page = {**PAGE, **_usual_axes(known), **asked}
    x, y = (_axis(name, page, known, sections, problems) for name in ("x", "y"))
    if x and y and x.key == y.key:
        problems.append(Problem("", "y", f"both axes are {x.key}: choose another"))
    elif x and y and {x.key, y.key} == {"data.signal_norm", "data.snr"}:
        problems.append(Problem("", "y", "signal_norm and snr follow from each other: choose another axis"))
    seeds = _whole("seeds", page["seeds"], 1, MOST_SEEDS, problems)
    if not isinstance(head.get("seed", 0), int) or not 0 <= head.get("seed", 0) < 2**62:
        problems.append(Problem("", "seed", f"expected an integer >= 0, found {show(head['seed'])}"))
    if page["cells"] not in GRIDS:
        problems.append(Problem("", "cells", f"expected one of {GRIDS}, found {show(page['cells'])}"))
    if problems or not (x and y):
        raise ConfigError(problems)
    return Setting(head, sections, x, y, seeds, int(page["cells"]), str(page["quantity"]))


def _refuse_unknown_kinds(sections: Mapping[str, Config], start: Mapping[str, Config]) -> None:
    """Refuse words that name no kind, in the words of the config reader; those of the start may be the user's own."""
    problems: list[Problem] = []
    for name, values in sections.items():
        section = SECTIONS[name]
        words = {key: values[key] for key in (section.word, "base") if key in values}
        if kind_of(name, values) is None and words.items() - start.get(name, {}).items():
            problems += read_section(section, node_of(words, name, "")).problems[:1]
    if problems:
        raise ConfigError(problems)


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
        named = chosen.get(word, SECTIONS[name].default)
        kept = {word: named, **FIRST.get(f"{name}.{named}", {}), **kept}
    if any(chosen[key] != start.get(key) for key in (word, "base") if key and key in chosen):
        kept = _without_unfit(name, kept)
    for one in of_kind(name, kind):
        if one.required and one.name not in kept:
            kept[one.name] = usual(one)
    return {**kept, **_alternatives(name, kind.cls, kept, own), **own}


def _without_unfit(name: str, kept: Config) -> Config:
    """Leave out what another kind refuses, such as two patches where it needs three: its default takes the place."""
    section = SECTIONS[name]
    refused = {
        problem.key.removeprefix(f"{name}.") for problem in read_section(section, node_of(kept, name, "")).problems
    }
    return {key: value for key, value in kept.items() if key not in refused or key in (section.word, "base")}


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
    middle = {
        "log": math.sqrt(max(one.low, 0) * one.high),
        "linear": (one.low + one.high) / 2,
        "power": one.high / 20,
    }[one.scale]
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


def _usual_axes(known: Mapping[str, Control]) -> Config:
    """Return axes for a data model of the user's own that lacks the usual ones."""
    numbers = [key for key, one in known.items() if one.is_number]
    if {PAGE["x"], PAGE["y"]} <= {*numbers}:
        return {}
    return {"x": numbers[0], "y": numbers[1]}


def _axis(
    name: str, page: Config, known: Mapping[str, Control], sections: Mapping[str, Config], problems: list[Problem]
) -> Axis | None:
    """Return an axis; None if there is a problem with it."""
    one = known.get(page[name]) if isinstance(page[name], str) else None
    if one is None or not one.is_number:
        numbers = [key for key, c in known.items() if c.is_number]
        found = show(page[name])
        problems.append(Problem("", name, f"no axis: {found}; {suggest(str(page[name]), numbers, numbers)}"))
        return None
    ends = [page[f"{name}.low"], page[f"{name}.high"]]
    usual_ends = _usual_ends(one, sections)
    low: Any
    high: Any
    low, high = (end if end is not None else other for end, other in zip(ends, usual_ends, strict=True))
    numeric = all(
        isinstance(end, int | float) and not isinstance(end, bool) and math.isfinite(end) for end in (low, high)
    )
    if not numeric or not low < high or (one.scale == "log" and low <= 0):
        problems.append(Problem("", f"{name}.low", f"expected low < high{', both > 0' * (one.scale == 'log')}"))
        return None
    if high > MOST.get(one.key, math.inf):
        problems.append(Problem("", f"{name}.high", f"this page computes at most {MOST[one.key]}; sweep more"))
        return None
    return Axis(one, low, high)


def _usual_ends(one: Control, sections: Mapping[str, Config]) -> tuple[float | None, float | None]:
    """Return the ends of an axis: those of the slider, unless the other numbers leave less."""
    low, high = AXES.get(one.key, (one.low, one.high))
    n_samples, n_steps = sections["data"].get("n_samples"), sections["train"].get("n_steps")
    start, stop = (sections["optimizer"].get(key) for key in ("start", "stop"))
    if one.key == "train.batch_size" and _is_number(n_samples):
        high = n_samples
    if one.key == "optimizer.start" and _is_number(n_steps):
        high = min(n_steps, stop if _is_number(stop) else n_steps) - 1
    if one.key == "optimizer.stop" and _is_number(n_steps):
        low, high = (start if _is_number(start) else 0) + 1, n_steps
    return low, high


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _whole(key: str, value: Any, least: int, most: int, problems: list[Problem]) -> int:
    """Return an integer within limits."""
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
        return value
    problems.append(Problem("", key, f"expected an integer from {least} to {most}, found {show(value)}"))
    return least
