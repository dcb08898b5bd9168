"""A strict YAML reader: every value keeps its file and line, and nothing is guessed.

Plain scalars follow YAML 1.2, unlike PyYAML: 1e-3 is a number, on and yes are text, and 010 is refused rather than read
as eight. A duplicate key is an error. Anchors, aliases and tags are refused; use ``extends`` to share settings.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from featlearn.config.problems import ConfigError, Problem

DEEPEST = 32  # levels of a config, and parts of a dotted key
LARGEST = 2**22  # bytes of a file: PyYAML reads about a million in 10 s
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,99})")
_NUMBER = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]+")
_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", "+.inf"), math.inf),
    "-.inf": -math.inf,
    ".nan": math.nan,
}
BROKEN = object()  # the value of a node whose problem has been reported; it causes no further message


@dataclass(frozen=True, slots=True)
class Node:
    """A value, its place ("configs/x.yaml:12") and its dotted key.

    value: a scalar, a list of nodes, or a dict of nodes by key. blank: the key has no value, not even null. formula:
    what gave the value, said in every problem with it (see formulas.py).
    """

    value: Any
    place: str
    key: str = ""
    blank: bool = False
    formula: str = ""

    @property
    def plain(self) -> Any:
        """The value as plain Python, without places."""
        if isinstance(self.value, dict):
            return {key: child.plain for key, child in self.value.items()}
        return [child.plain for child in self.value] if isinstance(self.value, list) else self.value

    @property
    def broken(self) -> bool:
        """Whether a problem with the value, or with one inside it, has been reported."""
        if isinstance(self.value, dict):
            return any(child.broken for child in self.value.values())
        return any(child.broken for child in self.value) if isinstance(self.value, list) else self.value is BROKEN

    @property
    def folder(self) -> Path:
        """The folder of its file; for --set and for a mapping the working directory."""
        place = Problem(self.place, "", "").line[0]
        return Path() if place == "--set" else Path(place).parent

    def child_key(self, name: str) -> str:
        """Return the dotted key of the child ``name``."""
        return f"{self.key}.{name}" if self.key else name

    def problem(self, message: str, name: str = "") -> Problem:
        """Return a problem with this node, or with its child ``name``, which may be absent."""
        child = self.value.get(name) if isinstance(self.value, dict) else None
        if isinstance(child, Node):
            return child.problem(message)
        if self.formula:
            message = f"{message} (formula: {self.formula})"
        return Problem(self.place, self.child_key(name) if name else self.key, message)


def read_yaml(text: str, name: str, key: str = "", problems: list[Problem] | None = None) -> Node | None:
    """Read YAML text; None if it is empty. ``name`` is its file, or its option (--set), and ``key`` the key it sets.

    Unreadable values are reported in ``problems`` and become BROKEN. Raises ConfigError if the text is not YAML.
    """
    reader = _Reader(name, [] if problems is None else problems)
    try:
        root = yaml.compose(text, _Loader)
        return None if root is None else reader.node(root, key)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line if error.problem_mark else 0
        reason = ", ".join(part for part in (error.context, error.problem) if part)
        raise ConfigError([Problem(reader.place(line), key, f"not YAML: {reason}")]) from None
    except yaml.YAMLError as error:
        raise ConfigError([Problem(name, key, f"not YAML: {str(error).splitlines()[0]}")]) from None


def read_text(path: Path) -> str:
    """Return the text of a file. Raises ConfigError if it cannot be read."""
    try:
        with path.open("rb") as file:
            text = file.read(LARGEST + 1)
        if len(text) > LARGEST:
            raise ConfigError([Problem(str(path), "", f"larger than {LARGEST} bytes: a config is a small text")])
        return text.decode()
    except OSError as error:
        raise ConfigError([Problem(str(path), "", error.strerror or str(error))]) from None
    except ValueError:
        raise ConfigError([Problem(str(path), "", "not YAML: not UTF-8 text")]) from None


class _Loader(yaml.SafeLoader):
    """PyYAML's composer, without anchors, aliases and tags, and to a limited depth."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]  # untyped in the stubs
        if self.depth >= DEEPEST:
            raise yaml.MarkedYAMLError(problem="nested too deeply", problem_mark=event.start_mark)
        if isinstance(event, yaml.AliasEvent) or event.anchor or getattr(event, "tag", None):
            problem = "anchors, aliases and tags (&, *, !) are not supported; use extends"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


@dataclass(frozen=True)
class _Reader:
    """Turns composed YAML into nodes, and collects the problems."""

    name: str
    problems: list[Problem]

    def place(self, line: int) -> str:
        """Return the place of a line, counted from 0; a command-line option has no lines."""
        return self.name if self.name.startswith("--") else f"{self.name}:{line + 1}"

    def node(self, raw: yaml.Node, key: str, line: int | None = None) -> Node:
        """Return the node of a composed value, at the place of its key."""
        place = self.place(raw.start_mark.line if line is None else line)
        if isinstance(raw, yaml.MappingNode):
            return Node(self.mapping(raw, key), place, key)
        if isinstance(raw, yaml.SequenceNode):
            items = [self.node(item, f"{key}[{i}]") for i, item in enumerate(raw.value)]
            return Node(items, place, key)
        if isinstance(raw, yaml.ScalarNode) and raw.style:
            return Node(raw.value, place, key)
        return Node(self.scalar(raw.value, place, key), place, key, blank=raw.value == "")

    def mapping(self, raw: yaml.MappingNode, key: str) -> dict[str, Node]:
        """Return the children of a mapping; of duplicate keys the first counts."""
        children: dict[str, Node] = {}
        for raw_key, raw_value in raw.value:
            line = raw_key.start_mark.line
            if not isinstance(raw_key, yaml.ScalarNode):
                self.problems.append(Problem(self.place(line), key, "a key must be a word"))
                continue
            child = self.node(raw_value, f"{key}.{raw_key.value}" if key else raw_key.value, line)
            first = children.setdefault(raw_key.value, child)
            if first is not child:
                self.problems.append(Problem(child.place, child.key, f"given twice, first at {first.place}"))
        return children

    def scalar(self, text: str, place: str, key: str) -> Any:
        """Return the value of an unquoted scalar."""
        if text in _WORDS:
            return _WORDS[text]
        if _LEADING_ZERO.fullmatch(text):
            self.problems.append(Problem(place, key, f"{text} has a leading zero: drop it, or quote it as text"))
            return BROKEN
        if _INTEGER.fullmatch(text):
            return int(text)
        return float(text) if _NUMBER.fullmatch(text) else text
