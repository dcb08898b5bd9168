"""The words that a config may use, read from the classes: ``featlearn list``."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from featlearn.config.own import own_class
from featlearn.config.parameters import Parameter, parameters
from featlearn.config.problems import suggest
from featlearn.config.resolve import needs
from featlearn.config.sections import SECTIONS, TRACKER, Section, wraps
from featlearn.config.source import Node
from featlearn.custom import is_own
from featlearn.engines import ENGINES
from featlearn.optim.schedules import RADIUS_SCHEDULES
from featlearn.sde.limits import has_own_limit

ENGINE_ROOMS = {"gram": "span", "weights": "explicit"}
KINDS = {
    "data": SECTIONS["data"],
    "models": SECTIONS["network"],
    "optimizers": SECTIONS["optimizer"],
    "schedules": Section(RADIUS_SCHEDULES, "name", methods=("factor",)),
    "trackers": TRACKER,
}


@dataclass(frozen=True)
class Entry:
    """One word that a config may use: its meaning, its source, the engines that support it, and its parameters.

    bases: the words of the rules that it may wrap, whose parameters are added to its own; the first is the default.
    """

    name: str
    doc: str
    reference: str = ""
    engines: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    bases: tuple[str, ...] = ()


def describe(kind: str, word: str | None = None) -> list[Entry]:
    """Return the words of a kind (data, models, optimizers, schedules, trackers, engines), or one of them.

    The word may be a user-defined class, such as "my_rules.py:MySAM". Raises ValueError for an unknown kind or word.
    """
    if kind not in (*KINDS, "engines"):
        raise ValueError(f"there are no {kind}; {suggest(kind, [*KINDS, 'engines'])}")
    if kind != "engines" and KINDS[kind].methods and is_own(word):
        section = KINDS[kind]
        cls = own_class(Node(word, "--set"), section.methods, section.numbers, section.instead)
        return [_entry(str(word), cls, section)]
    entries = {entry.name: entry for entry in _entries(kind)}
    if word is not None and word not in entries:
        raise ValueError(f"there is no {word} among the {kind}; {suggest(word, entries)}")
    return list(entries.values()) if word is None else [entries[word]]


def _entries(kind: str) -> Iterator[Entry]:
    if kind == "engines":
        yield from (Entry(name, _engine_doc(name), engines=(name,)) for name in ENGINES)
        return
    section = KINDS[kind]
    for word, cls in section.table.items():
        yield _entry(word or cls.__name__, cls, section)


def _entry(name: str, cls: type, section: Section) -> Entry:
    bases = section.bases if wraps(cls) else {}
    needed = needs(cls).union(*map(needs, list(bases.values())[:1]))
    if has_own_limit(cls) and not hasattr(cls, "step"):
        needed |= {"coordinates"}  # of the noise
    engines = tuple(engine for engine, provides in ENGINES.items() if needed <= provides)
    return Entry(name, first_line(cls.__doc__), _reference(cls), engines, tuple(parameters(cls).values()), tuple(bases))


def _reference(cls: type) -> str:
    """Return the paper of a class: its ``reference``, or what follows "Source:" in the docstring of its module."""
    module = sys.modules[cls.__module__].__doc__ or ""
    source = re.search(r"Source: (.+?)(?=[:;]\s|(?<=\))\.\s|\n\n|$)", module, re.DOTALL)
    return str(getattr(cls, "reference", " ".join(source[1].split()) if source else ""))


def _engine_doc(name: str) -> str:
    """Return the first line of an engine's docstring, without importing it: that would load torch."""
    spec = find_spec(f"featlearn.engines.{ENGINE_ROOMS[name]}.engine")
    assert spec is not None and spec.origin is not None
    return first_line(ast.get_docstring(ast.parse(Path(spec.origin).read_text("utf-8"))))


def first_line(doc: str | None) -> str:
    """Return the first line of a docstring."""
    return (doc or "").split("\n")[0]
