"""The workers of a dask cluster, which compute blocks in place of processes of this machine.

Blocks go through distributed's own executor, each as one task. joblib's backend for dask would do the same, but ends
everything at the first task whose worker dies; here its block is halved as on one machine (pool.py).
"""

from __future__ import annotations

import importlib
import pickle
import signal
import sys
import threading
import time
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from typing import Any

import pyarrow as pa

from featlearn import __version__
from featlearn.custom import Parcel
from featlearn.sweeps.blocks import Block
from featlearn.sweeps.checks import SweepError
from featlearn.sweeps.faults import Death, watched
from featlearn.sweeps.process import unsignalled
from featlearn.sweeps.worker import run_block

CONNECT_SECONDS = 15
COUNT_SECONDS = 1.0
AHEAD = 2  # tasks a thread, so that a worker has the next block at hand
_alone = threading.Lock()  # a worker with several threads computes one block at a time


class ClusterLost(Exception):
    """The scheduler is gone; what is not committed will be computed by the next call."""


class Cluster:
    """The workers of a scheduler, or of a cluster of this machine with ``n_jobs`` of them if there is no address."""

    def __init__(self, scheduler: str | None, n_jobs: int, device: str, limit: float | None) -> None:
        distributed: Any = importlib.import_module("distributed")  # of which only some parts have types
        self._device, self._limit = device, limit
        self._local: Any = None
        self.broken: tuple[type[BaseException], ...] = (distributed.KilledWorker,)
        self.lost: tuple[type[BaseException], ...] = (CancelledError, OSError)
        if scheduler is None:
            with unsignalled():
                self._local = distributed.LocalCluster(
                    n_workers=n_jobs,
                    threads_per_worker=1,
                    dashboard_address=None,
                    silence_logs="ERROR",
                    preload=__name__,
                )
            print(f"started a dask cluster on this machine: {self._local.scheduler_address}", file=sys.stderr)
        address = scheduler or self._local.scheduler_address
        try:
            self._client = distributed.Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError) as error:
            self.close()
            raise SweepError(f"no scheduler answers at {address}: {error}") from None
        self._address = address
        self._executor = self._client.get_executor(pure=False)
        self._size, self._counted = 1, 0.0
        self._check_workers()

    @property
    def size(self) -> int:
        """How many blocks to submit at a time; workers may come and go."""
        now = time.monotonic()
        if now - self._counted > COUNT_SECONDS:
            self._size = max(AHEAD * sum(self._client.nthreads().values()), 1)
            self._counted = now
        return self._size

    def _check_workers(self) -> None:
        """Wait for a worker, and refuse a cluster with another featlearn: its numbers might differ."""
        try:
            self._client.wait_for_workers(1, timeout=CONNECT_SECONDS)
            found = self._executor.submit(_version).result(CONNECT_SECONDS)
        except Exception as error:
            self.close()
            why = f"{type(error).__name__}: {error}"
            raise SweepError(f"no worker of {self._address} can run featlearn ({why})") from None
        if found != __version__:
            self.close()
            raise SweepError(f"the workers of {self._address} have featlearn {found}, this is {__version__}")

    def submit(self, number: int, block: Block) -> Future[pa.Table]:
        """Hand a block to the scheduler; as bytes, so that only a worker runs what is in it."""
        import cloudpickle  # which distributed brings

        self.check()
        future: Future[pa.Table] = self._executor.submit(
            run_on_worker, cloudpickle.dumps(Parcel(block)), self._device, self._limit
        )
        return future

    def check(self) -> None:
        """Raise ClusterLost if the scheduler is gone."""
        if self._client.status != "running":
            raise ClusterLost(f"the dask scheduler at {self._address} is lost")

    def finished(self, number: int) -> None:
        """Nothing to do: the scheduler knows."""

    def death(self, number: int, error: BaseException) -> Death:
        """Return how the workers of a block have ended, of which dask knows no more."""
        late = f", or took longer than the time limit of {self._limit:g} s" if self._limit else ""
        return Death(f"every worker computing it ended{late}")

    def close(self) -> None:
        """Leave the cluster, and end it if it was started here."""
        for part in (getattr(self, "_client", None), self._local):
            with suppress(Exception):  # it may be gone
                part and part.close()

    kill = close


def dask_setup(worker: Any) -> None:
    """Ignore Ctrl-C in a worker that was started here: its parent handles it; called by dask as a worker starts."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def run_on_worker(parcel: bytes, device: str, limit: float | None) -> pa.Table:
    """Compute a block in a worker of a cluster."""
    with _alone, watched(None, limit) as watch:
        return run_block(pickle.loads(parcel), device, (BaseException,), watch.limited)


def _version() -> str:
    return __version__
