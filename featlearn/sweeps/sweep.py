"""Runs a sweep: plan, compute, commit. The same call resumes an interrupted sweep."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pyarrow as pa

from featlearn.calls import Settings, loaded
from featlearn.provenance import provenance
from featlearn.store import Store, concat
from featlearn.sweeps.blocks import Plan, Shard
from featlearn.sweeps.checks import check_backend, checked_device, checked_jobs, device_name
from featlearn.sweeps.pool import results
from featlearn.sweeps.progress import showing
from featlearn.sweeps.report import SweepInterrupted, SweepReport

if TYPE_CHECKING:
    from featlearn.config import SweepConfig

COMMIT_SECONDS = 5.0


def sweep(
    config: SweepConfig | Mapping[str, Any] | str | Path,
    out: str | Path,
    *,
    n_jobs: int = 1,
    device: str = "auto",
    set: Settings = (),
    backend: str = "loky",
    scheduler: str | None = None,
    shard: str | None = None,
    progress: bool = True,
) -> SweepReport:
    """Compute the runs of a config that the store ``out`` does not have yet, and save them there.

    The store may have runs of other configs: the hash of all its numbers identifies a run, so configs share runs.
    ``load`` and ``summary`` read those of the latest sweep.

    Ctrl-C and SIGTERM commit finished runs and raise SweepInterrupted. If the call, the config or the folder is
    invalid, nothing is written (SweepError, ConfigError, StoreError).

    config: from ``load_config``, or the path of a YAML file or its content as a mapping, then changed by ``set``.
    n_jobs: processes, -1 for one per core; a GPU always has one.
    device: cpu, cuda, or auto: cuda if there is one.
    shard: "i/n" for the i-th of n shares of the runs, such as for one of n machines.
    progress: show a bar on a terminal, otherwise a line every few seconds.
    """
    check_backend(backend, scheduler)
    share = Shard.parse(shard) if shard else Shard()
    device = checked_device(device)
    jobs = checked_jobs(n_jobs, device)
    config = loaded(config, set)
    found = Store.find(out)
    if found:
        found.mend()
    finished = found.finished() if found else frozenset[str]()
    plan = Plan.of(config.runs(), share, finished)

    store = Store.create(out, config.name)
    run_ids = plan.run_ids.tolist()
    store.add_plan(run_ids, config.to_json(), plan.given)
    footer = {"config": config.to_json(), "provenance": provenance(device_name(device), plan.sources)}
    reused, others = int((plan.mine & ~plan.todo).sum()), len(finished.difference(run_ids))
    report = SweepReport(total=int(plan.mine.sum()), reused=reused, others=others)
    tables = results(plan.blocks(config.runs(), device, jobs), jobs, device)
    try:
        with _sigterm_as_interrupt(), closing(tables), showing(report, config.name, progress) as show:
            _keep(tables, store, footer, report, show)
    except KeyboardInterrupt:
        raise SweepInterrupted(report, out) from None
    return report


def _keep(
    tables: Iterator[pa.Table], store: Store, footer: dict[str, Any], report: SweepReport, show: Callable[[], None]
) -> None:
    """Commit the tables every few seconds, and the rest at the end, also after an error."""
    pending: list[pa.Table] = []
    committed = time.monotonic()
    try:
        for table in tables:
            pending.append(table)
            report.count(table["status"].to_pylist())
            show()
            if time.monotonic() - committed > COMMIT_SECONDS:
                _commit(store, pending, footer)
                committed = time.monotonic()
    finally:
        _commit(store, pending, footer)


def _commit(store: Store, pending: list[pa.Table], footer: dict[str, Any]) -> None:
    if pending:
        store.add_part(concat(pending), footer)
        pending.clear()


@contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """Let SIGTERM end a sweep as Ctrl-C does; only the main thread can handle signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(*_: Any) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
