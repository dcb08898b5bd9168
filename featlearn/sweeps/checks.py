"""Checks of the arguments of ``sweep``, before anything is computed or written."""

from __future__ import annotations

import importlib.util

import torch
from joblib import cpu_count

from featlearn.devices import chosen_device

BACKENDS = ("loky", "dask")
LONGEST_LIMIT = 1e9  # seconds: the clock that ends a process counts no further


class SweepError(ValueError):
    """Invalid arguments of a sweep; the message gives the reason."""


def check_options(backend: str, scheduler: str | None, time_limit: float | None, retry: str | None) -> None:
    """Refuse unknown backends and those that are not installed, a limit that no run could keep, and other words."""
    if backend not in BACKENDS:
        raise SweepError(f"backend must be {' or '.join(BACKENDS)}; found {backend!r}")
    if backend == "dask" and importlib.util.find_spec("distributed") is None:
        raise SweepError("the backend dask needs the package distributed: pip install 'featlearn[dask]'")
    if scheduler is not None and backend != "dask":
        raise SweepError("scheduler needs the backend dask")
    if time_limit is not None and not 0 < time_limit < LONGEST_LIMIT:
        raise SweepError(f"time_limit is a number of seconds > 0, at most {LONGEST_LIMIT:g}; found {time_limit!r}")
    if retry not in (None, "failed"):
        raise SweepError(f"retry is failed, or not given; found {retry!r}")


def checked_jobs(n_jobs: int, device: str) -> int:
    """Return the number of processes: -1 means one per core, and a GPU has one."""
    if n_jobs < 1 and n_jobs != -1:
        raise SweepError(f"jobs must be at least 1, or -1 for one per core; found {n_jobs}")
    if device == "cuda":
        return 1
    return int(cpu_count()) if n_jobs == -1 else n_jobs


def checked_device(device: str) -> str:
    """Return cpu or cuda; auto takes cuda if there is one."""
    try:
        return chosen_device(device)
    except ValueError as error:
        raise SweepError(str(error)) from None


def device_name(device: str) -> str:
    """Return the name of a device for provenance."""
    return device if device == "cpu" else f"cuda: {torch.cuda.get_device_name()}"
