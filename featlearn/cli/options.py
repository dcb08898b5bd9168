"""Options of a command from the options of a plot: their form in a call, and their conversion."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from inspect import Parameter, Signature, signature
from math import inf
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin

import typer

if TYPE_CHECKING:
    from featlearn.plots.kinds import Option


def read_inches(size: str) -> tuple[float, float | None]:
    """Read "6.9x3", or the width alone."""
    try:
        inches = [*map(float, size.lower().split("x"))]
    except ValueError:
        inches = []
    if not (1 <= len(inches) <= 2 and all(0 < length < inf for length in inches)):
        raise ValueError(f"--size expects WIDTH or WIDTHxHEIGHT in inches, such as 3.25 or 6.9x3, found {size!r}")
    return inches[0], inches[1] if len(inches) > 1 else None


def read_conditions(texts: list[str]) -> dict[str, list[Any]]:
    """Read every "key=value,value"; the values of a key given twice are joined, and no value is null."""
    found: dict[str, list[Any]] = {}
    for text in texts:
        key, equals, values = text.partition("=")
        if not (key and equals):
            raise ValueError(f"--where expects KEY=VALUE, found {text!r}")
        found.setdefault(key, []).extend(_values(key, values))
    return found


def _values(key: str, text: str) -> list[Any]:
    """Read a value as --set reads one, or several with commas between them."""
    from featlearn.config.problems import ConfigError, Problem
    from featlearn.config.source import read_yaml

    several = "," in text
    problems: list[Problem] = []
    read = read_yaml(f"[{text}]" if several else text, "--where", key, problems)
    if problems:
        raise ConfigError(problems)
    value = read and read.plain
    return list(value) if several and isinstance(value, list) else [value]


@dataclass(frozen=True)
class Spelling:
    """The form of an argument in a call.

    type: the type by which Typer reads it.
    metavar: its placeholder in the help.
    read: converts Typer's value into the argument; None if no conversion is needed.
    """

    type: Any
    metavar: str | None = None
    read: Callable[[Any], Any] | None = None


SPELLINGS: Mapping[type, Spelling] = {
    Mapping: Spelling(list[str], "KEY=VALUE,...", read_conditions),
    tuple: Spelling(str, "WIDTH[xHEIGHT]", read_inches),
    Collection: Spelling(list[str], "NAME"),
    Sequence: Spelling(list[str], "NAME"),
}


def spelling(annotation: Any) -> Spelling:
    """Return the form of an argument with this annotation; numbers, text and flags need no conversion."""
    union = get_origin(annotation) in (Union, UnionType)
    parts = [part for part in (get_args(annotation) if union else (annotation,)) if part is not type(None)]
    known = (SPELLINGS.get(get_origin(part) or part) for part in parts)
    return next(filter(None, known), Spelling(parts[0]))


def read(option: Option, value: Any) -> Any:
    """Return the argument of a plot for Typer's value. Raises ValueError if it is invalid."""
    reader = spelling(option.annotation).read
    return reader(value) if reader else value


def flag(name: str, option: Option) -> str:
    """Return the option's name in a call: `-x`, `--level`, `--overlay`, `--log/--no-log`, `--column` for columns."""
    if len(name) == 1:
        return f"-{name}"
    words, long = spelling(option.annotation).type, f"--{name.replace('_', '-')}"
    if words == list[str]:
        return long.removesuffix("s")
    return f"{long}/--no-{long[2:]}" if words is bool and option.default is not False else long


def with_options(
    command: Callable[..., None], own: Mapping[str, Option], others: Mapping[str, Option]
) -> Callable[..., None]:
    """Return a command with a parameter for every option in place of its `**given`.

    Options of other plots are hidden and accept any text, so that the command can refuse them by name.
    """
    *fixed, _ = signature(command, eval_str=True).parameters.values()
    options = [_parameter(key, option) for key, option in own.items()]
    hidden = [_hidden(key, option) for key, option in others.items()]
    parameters = [p.replace(kind=p.KEYWORD_ONLY) for p in (*options, *fixed, *hidden)]
    parameters.sort(key=lambda p: p.default is not p.empty)  # required ones come first
    command.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    return command


def _parameter(name: str, option: Option) -> Parameter:
    how = spelling(option.annotation)
    words = how.type if option.default is False else how.type | None
    text = option.meaning[:1].upper() + option.meaning[1:] + " Repeatable." * (how.type == list[str])
    about = typer.Option(flag(name, option), metavar=how.metavar, help=text)
    return Parameter(name, Parameter.KEYWORD_ONLY, default=option.default, annotation=Annotated[words, about])


def _hidden(name: str, option: Option) -> Parameter:
    words = bool | None if spelling(option.annotation).type is bool else list[str] | None
    about = typer.Option(flag(name, option), hidden=True)
    return Parameter(name, Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[words, about])
