"""Runs a sweep: plan, compute, commit. The same call resumes an interrupted sweep."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from featlearn.calls import Settings, loaded
from featlearn.provenance import provenance
from featlearn.store import Store, concat
from featlearn.sweeps.blocks import Plan, Shard
from featlearn.sweeps.checks import check_backend, check_time_limit, checked_device, checked_jobs, device_name
from featlearn.sweeps.pool import results
from featlearn.sweeps.progress import showing
from featlearn.sweeps.report import SweepInterrupted, SweepReport
from featlearn.sweeps.signals import Signals, receiving

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
    time_limit: float | None = None,
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
    time_limit: seconds that a run may take, together with the runs that are computed with it, but alone at last; one
        that takes longer fails. The compilation of loops does not count.
    progress: show a bar on a terminal, otherwise a line every few seconds.
    """
    check_backend(backend, scheduler)
    check_time_limit(time_limit)
    share = Shard.parse(shard) if shard else Shard()
    device = checked_device(device)
    jobs = checked_jobs(n_jobs, device)
    config = loaded(config, set)
    with receiving() as signals:
        with signals.open():
            found = Store.find(out)
            finished = found.finished() if found else frozenset[str]()
            plan = Plan.of(config.runs(), share, finished)

        store = Store.create(out, config.name)
        run_ids = plan.run_ids.tolist()
        store.add_plan(run_ids, config.to_json(), plan.given)
        footer = {"config": config.to_json(), "provenance": provenance(device_name(device), plan.sources)}
        reused, others = int((plan.mine & ~plan.todo).sum()), len(finished.difference(run_ids))
        report = SweepReport(total=int(plan.mine.sum()), reused=reused, others=others)
        blocks = plan.blocks(config.runs(), device, jobs)
        tables = results(blocks, jobs, device, signals, sources=plan.sources, time_limit=time_limit)
        try:
            with showing(report, config.name, progress) as show:
                _keep(tables, store, footer, report, signals, show)
            signals.check()
        except KeyboardInterrupt:
            raise SweepInterrupted(report, out) from None
    return report


def _keep(
    tables: Generator[pa.Table | None],
    store: Store,
    footer: dict[str, Any],
    report: SweepReport,
    signals: Signals,
    show: Callable[[], None],
) -> None:
    """Commit the first table, which shows that the store takes it, then every few seconds, and the rest at the end.

    Also after an error or a signal. A run counts as done once it is on disk.
    """
    pending: list[pa.Table] = []
    committed = -math.inf
    try:
        with closing(tables):
            for table in tables:
                if table is not None:
                    pending.append(table)
                report.unsaved = sum(map(len, pending))
                if pending and time.monotonic() - committed > COMMIT_SECONDS:
                    _commit(store, pending, footer, report, signals)
                    committed = time.monotonic()
                show()
    finally:
        _commit(store, pending, footer, report, signals)
        show()


def _commit(
    store: Store, pending: list[pa.Table], footer: dict[str, Any], report: SweepReport, signals: Signals
) -> None:
    if not pending:
        return
    rows = concat(pending)
    with signals.doing(f"writing {len(rows)} finished runs"):
        store.add_part(rows, footer)
    pending.clear()
    report.count(rows["status"].to_pylist())
