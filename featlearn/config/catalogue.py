"""What there is to write into a config, read from the classes themselves: ``featlearn list``."""

from __future__ import annotations

import ast
import re
import sys
from dataclasses import MISSING, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from featlearn.config.parameters import Parameter
from featlearn.config.problems import suggest
from featlearn.config.resolve import needs
from featlearn.config.sections import SECTIONS, TRACKER, Kind
from featlearn.engines import ENGINES

KINDS = {
    "data": SECTIONS["data"],
    "network": SECTIONS["network"],
    "optimizers": SECTIONS["optimizer"],
    "trackers": TRACKER,
}


@dataclass(frozen=True)
class Entry:
    """One word that a config may use: what it is, where it is from, which engines serve it, and its parameters."""

    name: str
    doc: str
    reference: str = ""
    engines: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()


def describe(kind: str) -> list[Entry]:
    """Return what there is of a kind: data, network, optimizers, trackers or engines. Raises ValueError for others."""
    if kind == "engines":
        return [Entry(name, _engine_doc(name), engines=(name,)) for name in ENGINES]
    if kind not in KINDS:
        raise ValueError(f"there are no {kind}; {suggest(kind, [*KINDS, 'engines'])}")
    entries: dict[str, Entry] = {}
    for (word, _), described in KINDS[kind].kinds.items():
        entries.setdefault(word, _entry(word or described.cls.__name__, described))
    return list(entries.values())


def _entry(name: str, kind: Kind) -> Entry:
    needed = needs(kind.cls) | needs(kind.base)
    engines = tuple(engine for engine, provides in ENGINES.items() if needed <= provides)
    return Entry(name, first_line(kind.cls.__doc__), _reference(kind.cls), engines, tuple(kind.parameters.values()))


def _reference(cls: type) -> str:
    """Return the paper of a class: its ``reference``, or what its module says after "Source:"."""
    module = sys.modules[cls.__module__].__doc__ or ""
    source = re.search(r"Source: (.+?)(?=[:;]\s|(?<=\))\.\s|\n\n|$)", module, re.DOTALL)
    return str(getattr(cls, "reference", " ".join(source[1].split()) if source else ""))


def _engine_doc(name: str) -> str:
    """Return the first line of an engine's file, which is not imported: that would need torch."""
    spec = find_spec(f"featlearn.engines.{name}")
    assert spec is not None and spec.origin is not None
    return first_line(ast.get_docstring(ast.parse(Path(spec.origin).read_text("utf-8"))))


def first_line(doc: str | None) -> str:
    """Return the first line of a docstring."""
    return (doc or "").split("\n")[0]


def default_value(parameter: Parameter) -> Any:
    """Return the default of a parameter as a config would give it; MISSING where it must be given."""
    if parameter.named is None or parameter.default is MISSING:
        return parameter.default
    words = {cls: word for word, cls in parameter.named.table.items()}
    return [words[type(item)] for item in parameter.default] if parameter.many else words[type(parameter.default)]
