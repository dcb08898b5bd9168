"""The hardware and versions of a measurement: the processor model, never the name of a machine or a user."""

from __future__ import annotations

import os
import platform
import re
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from featlearn.provenance import provenance


def machine(device: str) -> dict[str, Any]:
    """Return date, processor, versions, and the load before the measurement."""
    return {
        "date": date.today().isoformat(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "gpu": torch.cuda.get_device_name() if device == "cuda" else None,
        "load": os.getloadavg()[0],
        "numba": _numba(),
        **provenance(device),
    }


def _processor() -> str:
    """Return the processor's name, as /proc/cpuinfo has it."""
    info = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*:\s*(.+)$", info.read_text(), re.MULTILINE) if info.exists() else None
    return found[1].strip() if found else platform.processor() or platform.machine()


def _numba() -> str | None:
    try:
        return version("numba")
    except PackageNotFoundError:
        return None
