"""Output files that a call names: those of a user are not overwritten, nor what a link leads to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path


def refuse_overwriting(path: Path, what: str, ours: Callable[[bytes], bool]) -> None:
    """Raise ValueError if something is at ``path`` that is not ``what`` of ours, as its bytes tell."""
    if path.is_symlink() or not (path.is_file() or not path.exists()):
        reason = "is a link" if path.is_symlink() else "is no file"
    elif path.exists() and not ours(path.read_bytes()):
        reason = f"exists, and is no {what} of featlearn"
    else:
        return
    raise ValueError(f"{path} {reason}: give another name, or force it (--force)")


def clear(path: Path) -> None:
    """Remove what is at ``path``, if anything is, so that a new file takes its place, and not a link's target."""
    if path.is_symlink() or path.is_file():
        path.unlink()
