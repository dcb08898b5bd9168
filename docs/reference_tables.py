"""Markdown tables of every config key and every word, read from the classes that use them: pages of docs/reference."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import MISSING
from inspect import cleandoc
from typing import Any

from command_tables import commands
from docstrings import paragraph
from markdown_tables import code, plain, table

from featlearn.config import Entry, Key, describe, reference
from featlearn.config.catalogue import KINDS
from featlearn.config.parameters import Parameter
from featlearn.config.reference import in_yaml
from featlearn.functions.activations import ACTIVATIONS
from featlearn.functions.losses import LOSSES

SECTIONS = ("", "data", "network", "optimizer", "train", "record", "sweep")
TITLES = {"": "Top level"}
MOST_KINDS = 6  # named in a cell


def keys() -> str:
    """Return every key of a config, a table for each section."""
    found = reference()
    parts = []
    for section in SECTIONS:
        inside = [key for key in found if _section(key) == section]
        parts += [f"## {TITLES.get(section, section)}", _key_table(inside)]
    return "\n\n".join(parts)


def _section(key: Key) -> str:
    first = key.name.split(".")[0]
    return first if first in SECTIONS else ""


def _key_table(found: Sequence[Key]) -> str:
    rows = []
    for key in found:
        few = [code(kind) for kind in key.kinds[:MOST_KINDS]] + ["..."] * (len(key.kinds) > MOST_KINDS)
        of = f"Of {', '.join(few)}: " if few else ""
        rows.append((code(key.name), _default(key.default), plain(key.expected), of + plain(key.doc)))
    return table(("key", "default", "values", "meaning"), rows)


def words(kind: str) -> str:
    """Return every word of a kind, a section for each: meaning, source, engines and parameters."""
    classes = {word or cls.__name__: cls for word, cls in KINDS[kind].table.items()}
    return "\n\n".join(_word(entry, classes[entry.name]) for entry in describe(kind))


def _word(entry: Entry, cls: type) -> str:
    facts = [f"Source: {plain(entry.reference.rstrip('.'))}."] if entry.reference else []
    facts.append(f"Engines: {', '.join(entry.engines)}.")
    if entry.bases:
        facts.append(f"Base: {', '.join(map(code, entry.bases))}, whose parameters are keys too.")
    parts = [f"## {entry.name}", plain(entry.doc), *_details(entry, cls), " ".join(facts)]
    return "\n\n".join([*parts, *([_parameters(entry.parameters)] if entry.parameters else [])])


def _details(entry: Entry, cls: type) -> list[str]:
    """Return the paragraphs of the class after the first line, without those on parameters."""
    text = cleandoc(cls.__doc__ or "").partition("\n")[2]
    for parameter in entry.parameters:
        text = re.sub(rf"^{parameter.name}: .*(\n(?!\w+: ).*\S.*)*", "", text, flags=re.MULTILINE)
    return [paragraph(part.strip("\n")) for part in text.split("\n\n") if part.strip()]


def _parameters(found: Iterable[Parameter]) -> str:
    rows = [(code(p.name), _default(p.shown_default), plain(p.expected), plain(p.doc)) for p in found]
    return table(("key", "default", "values", "meaning"), rows)


def activations() -> str:
    """Return the activations with their formulas."""
    rows = [
        (code(act.name), code(act.value_formula), code(act.slope_formula), _degree(act.degree), _yes(act.smooth))
        for act in ACTIVATIONS.values()
    ]
    return table(("`network.activation`", "value", "slope", "degree", "smooth"), rows)


def losses() -> str:
    """Return the losses with their formulas."""
    formulas = {name: code(loss.value_formula) for name, loss in LOSSES.items()}
    formulas["softmax"] = plain((LOSSES["softmax"].__doc__ or "").rstrip("."))
    rows = [(code(name), formula, _yes(LOSSES[name].smooth)) for name, formula in formulas.items()]
    return table(("`network.loss`", "value", "smooth"), rows)


def _degree(degree: int | None) -> str:
    return "" if degree is None else str(degree)


def _yes(true: bool) -> str:
    return "yes" if true else "no"


def _default(default: Any) -> str:
    if default is MISSING:
        return "*required*"
    return default if default in ("that of the file", "its own") else code(in_yaml(default))


TABLES: dict[str, Callable[[], str]] = {
    "commands": commands,
    "keys": keys,
    "activations": activations,
    "losses": losses,
    **{kind: lambda kind=kind: words(kind) for kind in ("optimizers", "data", "models", "trackers", "schedules")},
}
