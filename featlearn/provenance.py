"""Provenance of results: versions, git revisions, processor and device, never the name of a machine or a user."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from featlearn.custom import Source

PACKAGES = ("featlearn", "torch", "numpy", "numba", "scipy", "pandas", "pyarrow", "joblib")


def provenance(device: str = "cpu", own: Iterable[Source] = ()) -> dict[str, Any]:
    """Return the provenance in the footer of every part of a store; ``own``: user-defined rules and trackers."""
    versions = {package: _version(package) for package in PACKAGES}
    found: dict[str, Any] = {"python": platform.python_version(), "device": device, "processor": processor()}
    found |= {"git": git_revision(), "code": git_revision(Path(__file__).parent)}
    classes = [{"name": source.name, "digest": source.digest, "text": source.text} for source in own]
    return {**versions, **found, "own": sorted(classes, key=lambda c: (c["name"], c["digest"]))}


@cache
def processor() -> str:
    """Return the kind of processor, and the vector instructions that torch uses on it: bits may depend on both."""
    import torch

    return f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"


def git_revision(folder: Path | None = None) -> dict[str, Any] | None:
    """Return the commit of a folder, by default of the working one, and whether files differ from it.

    None outside a repository.
    """
    where = Path() if folder is None else folder
    revision = _git(where, "rev-parse", "HEAD")
    return None if revision is None else {"revision": revision, "dirty": _git(where, "status", "--porcelain") != ""}


def _git(folder: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
