"""Provenance of results: versions, git revision and device, never the name of a machine or a user."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from featlearn.custom import Source

PACKAGES = ("featlearn", "torch", "numpy", "numba", "scipy", "pandas", "pyarrow", "joblib")


def provenance(device: str = "cpu", own: Iterable[Source] = ()) -> dict[str, Any]:
    """Return the provenance in the footer of every part of a store; ``own``: user-defined rules and trackers."""
    versions = {package: _version(package) for package in PACKAGES}
    found = {"python": platform.python_version(), "device": device, "git": git_revision()}
    classes = [{"name": source.name, "digest": source.digest, "text": source.text} for source in own]
    return {**versions, **found, "own": sorted(classes, key=lambda c: (c["name"], c["digest"]))}


def git_revision() -> dict[str, Any] | None:
    """Return the commit of the working directory and whether files differ from it; None outside a repository."""
    revision = _git("rev-parse", "HEAD")
    return None if revision is None else {"revision": revision, "dirty": _git("status", "--porcelain") != ""}


def _git(*words: str) -> str | None:
    try:
        done = subprocess.run(["git", *words], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
