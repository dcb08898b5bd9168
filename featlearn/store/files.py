"""Atomic file writing, and the errors of a store."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from featlearn.escapes import printable
from featlearn.store.temporary import temporary_name

MOST_NAMED = 3  # damaged files in a warning


class StoreError(ValueError):
    """A folder that cannot be read or written as a store of this version; the message gives the reason."""


class StoreWarning(UserWarning):
    """Part of a store is left out; the message names it, and how to read it."""


class Damage(StoreError):
    """A file of a store that is damaged or foreign; ``rows`` it had, None if that cannot be read either."""

    def __init__(self, path: Path, reason: str, rows: int | None = None) -> None:
        super().__init__(printable(f"cannot read {path}: {reason}; sweep again to compute its runs anew"))
        self.path, self.reason, self.rows = path, reason, rows


def named(damaged: Sequence[Damage]) -> str:
    """Return the names of damaged files with the reasons, or of the first few."""
    texts = [f"{damage.path} ({damage.reason})" for damage in damaged[:MOST_NAMED]]
    more = [f"{len(damaged) - MOST_NAMED} more"] * (len(damaged) > MOST_NAMED)
    return printable(", ".join([*texts, *more]))


def damage_text(damaged: Sequence[Damage]) -> str:
    """Name damaged files, and say what they cost and how to mend it."""
    known = [damage.rows for damage in damaged if damage.rows is not None]
    least = "at least " * (len(known) < len(damaged))
    rows = f" with {least}{sum(known)} rows" if known else ""
    return f"left out what cannot be read: {named(damaged)}{rows}; sweep again to compute its runs anew"


def write_file(folder: Path, write: Callable[[IO[bytes]], str]) -> Path:
    """Let ``write`` fill a file and return its name; the file appears in ``folder`` complete and on disk, or not."""
    temporary = folder / temporary_name()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with open(temporary, "xb") as file:
            path = folder / write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync_folder(folder)
    except OSError as error:
        raise StoreError(f"cannot write to {folder}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            temporary.unlink()
    return path


def sync_folder(folder: Path) -> None:
    """Flush the names of a folder's files to disk, where the system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
