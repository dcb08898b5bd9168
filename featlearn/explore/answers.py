"""What answers to the page hold: its controls, and means over the seeds of the cells of a phase diagram."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from featlearn.config.catalogue import first_line
from featlearn.config.reference import in_yaml
from featlearn.config.sections import SECTIONS, wraps
from featlearn.explore.controls import FIRST, SHOWN, alternatives, choices, controls
from featlearn.explore.query import GRIDS, MOST_SEEDS, PAGE, read, usual
from featlearn.explore.setting import Setting
from featlearn.plots.style import NAMES

Answer = dict[str, Any]


def description(start: Mapping[str, Answer]) -> Answer:
    """Return the controls of every section and kind, and the values of the start."""
    setting = read([], start)
    own = {name: values for name, values in setting.sections.items() if name in SHOWN}
    return {
        "sections": [_section(name, own[name]) for name in SHOWN],
        "start": {f"{name}.{key}": _text(v) for name, values in own.items() for key, v in values.items()},
        "page": {**PAGE, "x": setting.x.key, "y": setting.y.key, "seed": setting.head.get("seed", 0)},
        "grids": GRIDS,
        "most_seeds": MOST_SEEDS,
        "name": setting.head["name"],
    }


def _text(value: Any) -> str:
    return in_yaml(value)


def _section(name: str, values: Answer) -> Answer:
    """Return the controls of a section by kind; a kind that the config names itself has those of no other."""
    section = SECTIONS[name]
    table = choices(name) if section.word else dict(section.table)
    word = values.get(section.word) if section.word else ""
    kinds = {kind: {**_kind(name, cls), "first": _first(name, kind)} for kind, cls in table.items()}
    if word not in kinds:
        kinds[str(word)] = {
            "doc": "named in the config",
            "controls": [],
            "base": False,
            "alternatives": [],
            "first": {},
        }
    bases = {kind: cls for kind, cls in section.bases.items() if kind in kinds} if name == "optimizer" else {}
    return {
        "name": name,
        "word": section.word,
        "kinds": kinds,
        "bases": {kind: _kind(name, cls)["controls"] for kind, cls in bases.items()},
        "settings": [_control(one) for one in controls(name, section.settings)] if section.settings else [],
    }


def _kind(name: str, cls: type) -> Answer:
    return {
        "doc": first_line(cls.__doc__),
        "controls": [_control(one) for one in controls(name, cls)],
        "base": wraps(cls),
        "alternatives": [f"{name}.{key}" for key in alternatives(cls)],
    }


def _first(name: str, word: str) -> dict[str, str]:
    return {f"{name}.{key}": _text(value) for key, value in FIRST.get(f"{name}.{word}", {}).items()}


def _control(one: Any) -> Answer:
    value = usual(one) if one.required else one.default
    return {**asdict(one), "name": one.name, "value": _text(value), "number": one.is_number, "aside": one.aside}


def rule_title(rule: Mapping[str, Any]) -> str:
    """Return the name of a rule as the papers spell it."""
    word = str(rule.get("name", ""))
    return NAMES.get(word, word.rpartition(":")[2] if ":" in word else word.upper().replace("_", "-"))


def means(shape: Mapping[str, Any], parts: Sequence[Mapping[str, Any]], setting: Setting) -> Answer:
    """Return the mean over the seeds of every quantity in every cell, [y][x]; null where no run has one.

    A run that diverged does not count. An axis that the rule lacks has one value.
    """
    values: Mapping[str, list[Any]] = shape["axes"]
    columns, lines = (values.get(axis.key, [None]) for axis in (setting.x, setting.y))
    rows: dict[int, Mapping[str, Any]] = {}
    for part in parts:
        rows |= dict(zip(part["places"], part["rows"], strict=True))
    names = next(iter(rows.values()), {})
    cells: dict[str, list[list[float | None]]] = {name: [[None] * len(columns) for _ in lines] for name in names}
    for i in range(len(columns)):
        for j in range(len(lines)):
            first = (i * len(lines) + j) * setting.seeds
            for name in names:
                found = [v for s in range(setting.seeds) if (v := rows[first + s][name]) is not None]
                cells[name][j][i] = sum(found) / len(found) if found else None
    diverged = sum(all(value is None for value in row.values()) for row in rows.values())
    return {"x": columns, "y": lines, "means": cells, "diverged": diverged, "notes": shape["notes"]}
