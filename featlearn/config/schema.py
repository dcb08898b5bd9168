"""The JSON schema of a config, for editors: completion, meanings, and typing errors underlined.

It is read from the classes, like everything here, and it is looser than ``load_config``: it demands no key, since a
file may leave the rest to what it extends, and it knows nothing of how keys fit together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING
from typing import Any, Literal

from pydantic import TypeAdapter

from featlearn.config.axes import SPACINGS
from featlearn.config.catalogue import first_line
from featlearn.config.parameters import Parameter
from featlearn.config.sections import SECTIONS, Section, known_keys, nested

Schema = dict[str, Any]


def schema() -> Schema:
    """Return the JSON schema of a config."""
    values, definitions = _value_schemas()
    sections = {name: _section(section, values) for name, section in SECTIONS.items()}
    head = sections.pop("")["properties"]
    extends = {"type": "string", "description": "A config that this one extends, relative to this file."}
    top = _object({"extends": extends, **head, **sections, "sweep": _sweep()}, "A featlearn config.")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **top, **definitions}


def _value_schemas() -> tuple[dict[Parameter, Schema], Schema]:
    """Return pydantic's schema of the value of every parameter, and the definitions that they share."""
    everything = [p for section in _all_sections() for kind in section.kinds.values() for p in kind.parameters.values()]
    mode: Literal["validation"] = "validation"
    found, definitions = TypeAdapter.json_schemas([(p, mode, p.adapter) for p in dict.fromkeys(everything)])
    return {p: value for (p, _), value in found.items()}, definitions


def _all_sections() -> Iterator[Section]:
    for section in SECTIONS.values():
        yield section
        yield from (nested(p.named) for p in section.keys.values() if p is not None and p.named is not None)


def _section(section: Section, values: Mapping[Parameter, Schema]) -> Schema:
    """Return the schema of a section: one of its kinds, or the word of one that needs no more."""
    kinds = []
    for (word, base), kind in section.kinds.items():
        named = {section.word: {"const": word}} if section.word else {}
        named |= {"base": {"const": base}} if base else {}
        properties = {name: _parameter(p, values) for name, p in kind.parameters.items()}
        kinds.append(_object(named | properties, first_line(kind.cls.__doc__)))
    if not section.word:
        return kinds[0]
    words = dict.fromkeys(word for word, _ in section.kinds)
    return {"anyOf": [{"enum": [*words]}, *kinds, *_own(section)]}


def _own(section: Section) -> Iterator[Schema]:
    """Yield the schemas of rules that the user wrote, or that have a base of the user's: their keys are not known."""
    if section.methods:
        own = {"type": "string", "pattern": ":", "description": "Your own: file.py:Class."}
        yield own
        for key in (section.word, "base"):
            yield {"type": "object", "properties": {key: own}, "required": [key]}


def _parameter(parameter: Parameter, values: Mapping[Parameter, Schema]) -> Schema:
    value = values[parameter]
    if parameter.named is not None:
        words = _section(nested(parameter.named), values)
        value = {"type": "array", "items": words} if parameter.many else words
    default = {} if parameter.default is MISSING else {"default": parameter.shown_default}
    return {**value, "description": parameter.doc, **default}


def _sweep() -> Schema:
    """Return the schema of the axes: any key, in any of the ways to write an axis."""
    numbers = {"type": "array", "items": {"type": "number"}}
    ways = [{"type": "array", "minItems": 1}, {"type": "null"}]
    ways += [_object({word: {**numbers, "description": spacing.usage}}) for word, spacing in SPACINGS.items()]
    axes = {"type": "object", "propertyNames": {"enum": list(known_keys())}, "additionalProperties": {"anyOf": ways}}
    together = {"anyOf": [axes, {"type": "array", "items": axes}], "description": "Keys that move together."}
    names = {
        "anyOf": [{"enum": [*known_keys(), "zip"]}, {"pattern": r"^optimizer\."}]
    }  # one of the user's may have any
    return {**axes, "propertyNames": names, "properties": {"zip": together}, "description": "The axes of the sweep."}


def _object(properties: Schema, doc: str = "") -> Schema:
    return {"type": "object", "description": doc, "properties": properties, "additionalProperties": False}
