"""Names of files that are being written, and removal of those whose writer was killed."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from featlearn.store.processes import machine, started

TEMPORARY = ".tmp-"
NAME = re.compile(rf"{re.escape(TEMPORARY)}([0-9a-f]{{16}})-([0-9]+)-[0-9a-f]{{32}}")
OLD_SECONDS = 3600.0  # no file is written for as long: the writer, on another machine, has ended


def temporary_name() -> str:
    """Return a new name that tells which process of which machine writes the file."""
    return f"{TEMPORARY}{machine()}-{os.getpid()}-{uuid.uuid4().hex}"


def remove_left_over(folders: Iterable[Path]) -> list[Path]:
    """Remove the files whose writer has ended, and return them; where that is not known, those older than an hour."""
    removed = []
    for folder in folders:
        for path in sorted(folder.glob(f"{TEMPORARY}*")):
            with suppress(OSError):  # another sweep was first, or the store cannot be written
                if _is_left_over(path):
                    path.unlink()
                    removed.append(path)
    return removed


def _is_left_over(path: Path) -> bool:
    named = NAME.fullmatch(path.name)
    if named and named[1] == machine():
        return started(int(named[2])) is None
    return path.is_file() and _now(path.parent) - path.stat().st_mtime > OLD_SECONDS


def _now(folder: Path) -> float:
    """Return the time of the file system, which may be another machine's."""
    probe = folder / temporary_name()
    try:
        probe.touch()
        return probe.stat().st_mtime
    finally:
        probe.unlink(missing_ok=True)
