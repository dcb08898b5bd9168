"""Problems of a config: all at once, each with its file, line and key."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from featlearn.escapes import printable

MOST_SHOWN = 100  # problems of a config that are listed one by one
LONGEST = 200  # characters of a key in a message


@dataclass(frozen=True)
class Problem:
    """One problem: its place ("configs/x.yaml:12" or "--set"), the key, and the message.

    caution: a warning; the config is valid but probably not intended.
    """

    place: str
    key: str
    message: str
    caution: bool = False

    @property
    def line(self) -> tuple[str, int]:
        """The place as a file and a line in it, 0 for none."""
        name, _, line = self.place.rpartition(":")
        return (name, int(line)) if line.isdigit() else (self.place, 0)

    def __str__(self) -> str:
        key = self.key if len(self.key) <= LONGEST else f"{self.key[: LONGEST - 3]}..."
        return printable(": ".join(part for part in (self.place, key, self.message) if part))


class ConfigError(Exception):
    """A config that cannot be run; ``problems`` has the reasons in file order, and str() prints one a line.

    Cautions are left out; of very many problems the first are listed, and the others counted.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        wrong = dict.fromkeys(problem for problem in problems if not problem.caution)
        self.problems = tuple(sorted(wrong, key=lambda problem: problem.line))
        super().__init__(self.problems)

    def __str__(self) -> str:
        more = len(self.problems) - MOST_SHOWN
        rest = [f"and {more} more problems"] if more > 0 else []
        return "\n".join([*map(str, self.problems[:MOST_SHOWN]), *rest])


class ConfigWarning(UserWarning):
    """A config that is valid but probably not intended; str() gives place and reason."""


def show(value: Any, limit: int = 60) -> str:
    """Write a value as JSON, or as Python does without addresses in memory, truncated to ``limit`` characters."""
    text = json.dumps(value, default=lambda x: re.sub(r" at 0x[0-9a-f]+", "", repr(x)), ensure_ascii=False)
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def choices(table: Iterable[str], listing: str = "", most: int = 6) -> str:
    """Name the words of a table; the first of many, with the command that shows all."""
    words = list(table)
    if len(words) < 2:
        return "".join(words)
    if len(words) <= most:
        return f"one of {', '.join(words)}"
    return f"one of {', '.join(words[:most])}, ... ({len(words)}: `featlearn list {listing}`)".replace(" `)", "`)")


def suggest(key: str, here: Iterable[str], elsewhere: Iterable[str] = ()) -> str:
    """Suggest the key that was probably meant: one valid ``here``, or a dotted key ``elsewhere`` by its last part."""
    here = list(here)
    dotted = {name.rsplit(".", 1)[-1]: name for name in elsewhere}
    if key in dotted:
        return f"did you mean '{dotted[key]}'?"
    for known in ({name: name for name in here}, dotted):
        if near := get_close_matches(key, known, 1):
            return f"did you mean '{known[near[0]]}'?"
    return f"known here: {', '.join(here)}"
