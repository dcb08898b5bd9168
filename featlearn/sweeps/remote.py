"""What a worker of a dask cluster does: it has blocks computed by a process of its own, as a sweep on one machine has.

So a run that ends its process, or takes too long, does not end the worker, and how it ended is known. Only that process
runs what is in a block. Rows come back with the provenance of the machine that computed them.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import pickle
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa

from featlearn.provenance import provenance
from featlearn.sweeps.checks import device_name
from featlearn.sweeps.crew import Crew
from featlearn.sweeps.faults import Death

PROVENANCE = b"featlearn.provenance"  # in the metadata of a table
SAME = ("featlearn", "code", "torch", "numpy", "scipy", "numba")  # without which numbers might differ
_alone = threading.Lock()  # a worker with several threads computes one block at a time
_numbers = count()


class Sealed(bytes):
    """A pickled block: who unpickles it has the block."""

    def __reduce__(self) -> tuple[Any, ...]:
        return pickle.loads, (bytes(self),)


def run_on_worker(parcel: bytes, device: str, sources: Mapping[str, str], limit: float | None) -> pa.Table | Death:
    """Return the rows of a block with their provenance, or how the process that computed it has ended."""
    with _alone, _free_to_start():
        crew, number = Crew(1, device, sources, limit), next(_numbers)
        future = crew.submit(number, Sealed(parcel))
        try:
            found = future.result()
        except crew.broken as error:
            return crew.death(number, error)
        crew.finished(number)
    return found.replace_schema_metadata({PROVENANCE: _provenance(device)})


@cache
def _provenance(device: str) -> str:
    found = provenance(device_name(device))
    return json.dumps({key: value for key, value in found.items() if key not in ("git", "own")})  # those of the caller


@contextmanager
def _free_to_start() -> Iterator[None]:
    """Allow this process to start others: dask marks its workers as daemons, which cannot.

    What a daemon is marked for, to end with its parent, the processes of a crew see to themselves.
    """
    config: dict[str, Any] = getattr(multiprocessing.current_process(), "_config", {})
    marked = config.pop("daemon", None)
    try:
        yield
    finally:
        if marked is not None:
            config["daemon"] = marked


@cache
def installation() -> dict[str, str | None]:
    """Return the versions on which numbers depend, and a hash of featlearn's code."""
    found = provenance()
    return {name: _code() if name == "code" else found[name] for name in SAME}


def _code() -> str:
    root = Path(__file__).parents[1]
    files = sorted(root.rglob("*.py"))
    texts = (f"{path.relative_to(root).as_posix()}\n".encode() + path.read_bytes() for path in files)
    return hashlib.sha256(b"".join(texts)).hexdigest()[:16]
