"""Text from a user's code or files, made safe to print."""

from __future__ import annotations

import re


def printable(text: str) -> str:
    """Return text with every character that a terminal would act on, or not show, as an escape, such as \\x1b."""
    return re.sub(r"[^\n]", lambda c: c[0] if c[0].isprintable() else c[0].encode("unicode_escape").decode(), text)
