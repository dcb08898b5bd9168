"""The workers of a dask cluster, which compute blocks in place of processes of this machine.

Blocks go through distributed's own executor, each as one task. joblib's backend for dask would do the same, but ends
everything at the first task whose worker dies; here its block is computed again elsewhere (pool.py, remote.py).

Every worker is asked for its versions as it joins (gate.py): one with the same receives the resource that tasks need.
"""

from __future__ import annotations

import importlib
import logging
import signal
import sys
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager, suppress
from typing import Any

import pyarrow as pa

from featlearn.custom import Parcel, Source
from featlearn.sweeps.blocks import Block
from featlearn.sweeps.checks import SweepError
from featlearn.sweeps.faults import Death
from featlearn.sweeps.process import unsignalled
from featlearn.sweeps.remote import installation, run_on_worker

CONNECT_SECONDS = 15
COUNT_SECONDS = 1.0
AHEAD = 2  # tasks a thread, so that a worker has the next block at hand


class ClusterLost(Exception):
    """The scheduler is gone; what is not committed will be computed by the next call."""


class Cluster:
    """The workers of a scheduler, or of a cluster of this machine with ``n_jobs`` of them if there is no address.

    sources, limit: as of a Crew.
    """

    def __init__(
        self, scheduler: str | None, n_jobs: int, device: str, sources: Iterable[Source], limit: float | None
    ) -> None:
        distributed: Any = importlib.import_module("distributed")  # of which only some parts have types
        self._device, self._limit = device, limit
        self._sources = {source.name: source.digest for source in sources}
        self._local: Any = None
        self._client: Any = None
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
        self._address = scheduler or self._local.scheduler_address
        try:
            self._client = _connected(distributed, self._address)
            self._gate = _Gate(self._client)
            self._executor = self._client.get_executor(pure=False, resources={self._gate.name: 1})
            self._wait_for_a_worker()
        except BaseException:
            self.close()
            raise
        self._counted, self._waiting = time.monotonic(), False

    @property
    def size(self) -> int:
        """How many blocks to submit at a time; workers may come and go."""
        return max(AHEAD * sum(self._gate.threads.values()), 1)

    def _wait_for_a_worker(self) -> None:
        """Raise SweepError if no worker that can be used is there in time."""
        late = time.monotonic() + CONNECT_SECONDS
        while True:
            self._gate.refresh()
            if self._gate.threads:
                break
            if time.monotonic() > late:
                why = "; ".join(self._gate.refused.values()) or f"none has joined within {CONNECT_SECONDS:g} s"
                raise SweepError(f"no worker of {self._address} can be used: {why}")
            time.sleep(0.1)
        self._gate.tell()

    def submit(self, number: int, block: Block) -> Future[pa.Table | Death]:
        """Hand a block to the scheduler; as bytes, so that only a worker's process runs what is in it."""
        import cloudpickle  # which distributed brings

        self.check()
        future: Future[pa.Table | Death] = self._executor.submit(
            run_on_worker, cloudpickle.dumps(Parcel(block)), self._device, self._sources, self._limit
        )
        return future

    def check(self) -> None:
        """Raise ClusterLost if the scheduler is gone; say when there is no worker any more, and when there is again."""
        if self._client.status != "running":
            raise ClusterLost(f"the dask scheduler at {self._address} is lost")
        if time.monotonic() - self._counted < COUNT_SECONDS:
            return
        with suppress(Exception):  # the scheduler may go right now: the next check says so
            self._gate.refresh()
            self._gate.tell()
        self._counted = time.monotonic()
        if self._waiting != (not self._gate.threads):
            self._waiting = not self._waiting
            now = "has no worker left: waiting for one to join" if self._waiting else "has a worker again: going on"
            print(f"the dask scheduler at {self._address} {now}", file=sys.stderr, flush=True)

    def finished(self, number: int) -> None:
        """Nothing to do: the scheduler knows."""

    def death(self, number: int, error: BaseException) -> Death:
        """Return how the workers of a block have ended: dask knows no more, and it may not be the block's fault."""
        return Death("every worker that was given it ended (killed, or a machine lost)", killed=True)

    def close(self) -> None:
        """Leave the cluster, and end it if it was started here."""
        for part in (self._client, self._local):
            with suppress(Exception):  # it may be gone
                part and part.close()

    kill = close


class _Gate:
    """Which workers have the same versions as this process.

    threads: their numbers of threads. refused: the others, and why.
    """

    def __init__(self, client: Any) -> None:
        gate: Any = importlib.import_module("featlearn.sweeps.gate")
        self._client, self._topic = client, gate.name_of(installation())
        self.name: str = self._topic
        self.threads: Mapping[str, int] = {}
        self.refused: dict[str, str] = {}
        self._told = set[str]()
        self._wake = gate.waker()
        client.register_plugin(gate.plugin(self.name, installation()), name=self.name)

    def refresh(self) -> None:
        """Ask the scheduler."""
        there = self._client.nthreads()
        found = {event["address"]: event["wrong"] for _, event in self._client.get_events(self._topic) or ()}
        known = set(self.threads)
        self.threads = {address: n for address, n in there.items() if found.get(address) == ""}
        if not known.issuperset(self.threads):
            self._client.run_on_scheduler(self._wake)
        self.refused = {address: found[address] for address in there if found.get(address)}

    def tell(self) -> None:
        """Name the workers that are refused, once."""
        for address, why in self.refused.items():
            if address not in self._told:
                self._told.add(address)
                print(f"refused the dask worker {address}: {why}", file=sys.stderr, flush=True)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep distributed from printing tracebacks of what it cannot reach, and warnings of versions: we say both."""
    log = logging.getLogger("distributed")
    before = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        log.setLevel(before)


def _connected(distributed: Any, address: str) -> Any:
    """Return a client of a scheduler. Raises SweepError if none answers."""
    client = distributed.Client.__new__(distributed.Client)
    try:
        with _quiet():
            client.__init__(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except Exception as error:  # what answers may be no scheduler
        client.status = "closed"  # or it would try to leave what it has not joined, and print a traceback
        raise SweepError(f"no scheduler answers at {address}: {error}") from None
    return client


def dask_setup(worker: Any) -> None:
    """Ignore Ctrl-C in a worker that was started here: its parent handles it; called by dask as a worker starts."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
