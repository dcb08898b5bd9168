"""Why runs failed: messages that differ only in the numbers of a run are one cause."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

_PLACE = re.compile(r" \([^()]*:\d+\)$")  # file and line, which belong to the cause
_NUMBER = re.compile(r"0x[0-9a-fA-F]+|(?<![\w.])[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?!\w)|\b(?:nan|inf)\b")


def grouped(failures: Mapping[str, int]) -> dict[str, int]:
    """Return the number of failed runs by cause, the most frequent first; # stands for numbers that differ."""
    messages: dict[str, list[str]] = {}
    for message in failures:
        messages.setdefault(_pattern(message), []).append(message)
    causes = Counter[str]()
    for pattern, members in messages.items():
        causes[members[0] if len(members) == 1 else pattern] = sum(failures[message] for message in members)
    return dict(causes.most_common())


def _pattern(message: str) -> str:
    place = _PLACE.search(message)
    end = place.start() if place else len(message)
    return _NUMBER.sub("#", message[:end]) + message[end:]
