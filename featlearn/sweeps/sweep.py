"""Runs a sweep: plan, compute, commit. The same call resumes an interrupted sweep."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from featlearn.calls import Settings, loaded
from featlearn.provenance import provenance
from featlearn.store import Store
from featlearn.store.snapshot import Snapshot
from featlearn.sweeps.blocks import Plan, Shard
from featlearn.sweeps.checks import check_options, checked_device, checked_jobs, device_name
from featlearn.sweeps.claims import Claims
from featlearn.sweeps.cluster import Cluster, ClusterLost
from featlearn.sweeps.commits import Commits
from featlearn.sweeps.ends import Ends
from featlearn.sweeps.pool import results
from featlearn.sweeps.progress import showing
from featlearn.sweeps.report import SweepInterrupted, SweepReport
from featlearn.sweeps.sharing import passes
from featlearn.sweeps.signals import receiving

if TYPE_CHECKING:
    from featlearn.config import SweepConfig

MOST_FAILURES = 3  # of a run, after which it is not tried again


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
    retry: Literal["failed"] | None = None,
    progress: bool = True,
) -> SweepReport:
    """Compute the runs of a config that the store ``out`` does not have yet, and save them there.

    The store may have runs of other configs: the hash of all its numbers identifies a run, so configs share runs.
    ``load`` and ``summary`` read those of the latest sweep. Several sweeps into one store at a time share the work.

    Ctrl-C and SIGTERM commit finished runs and raise SweepInterrupted; a second one does not interrupt the commit. A
    run that raises, or ends its process, fails alone; code of yours runs in processes of its own. If the call, the
    config or the folder is invalid, nothing is written (SweepError, ConfigError, StoreError).

    config: from ``load_config``, or the path of a YAML file or its content as a mapping, then changed by ``set``.
    n_jobs: processes, -1 for one per core; a GPU always has one.
    device: cpu, cuda, or auto: cuda if there is one.
    backend, scheduler: "dask" computes on the workers of the scheduler at an address such as tcp://host:8786, or of one
        that is started here with n_jobs workers; needs the extra featlearn[dask].
    shard: "i/n" for the i-th of n shares of the runs, such as for one of n machines.
    time_limit: seconds of the processor that a run may take, with the runs that are computed with it, but alone at
        last; one that takes longer fails. What a new process has to compile, import and set up does not count.
    retry: "failed" computes failed runs again, up to three times in all; otherwise they stay failed.
    progress: show a bar on a terminal, otherwise a line every few seconds.
    """
    check_options(backend, scheduler, time_limit, retry)
    share, device = Shard() if shard is None else Shard.parse(shard), checked_device(device)
    jobs, config = checked_jobs(n_jobs, device), loaded(config, set)
    with receiving() as signals:
        with signals.open():
            ends, before = _earlier(Path(out), retry)
            plan = Plan.of(config.runs(), share, before.finished | before.left)
        there = backend == "dask" and plan.todo.any()  # connect before there is a store, for the address may be wrong
        cluster = Cluster(scheduler, jobs, device, plan.sources, time_limit) if there else None
        with closing(cluster) if cluster else nullcontext():
            store = Store.create(out, config.name)
            store.add_plan(plan.run_ids.tolist(), config.to_json(), plan.given)
            origin = {"config": config.to_json(), "provenance": provenance(device_name(device), plan.sources)}
            report, claims = before.report(plan), Claims(store.path, ends)
            how: dict[str, Any] = {"sources": plan.sources, "time_limit": time_limit, "cluster": cluster}
            try:
                with closing(claims), showing(report, config.name, progress) as show:
                    commits = Commits(store, origin, report, ends, signals, show)
                    for part in passes(plan, claims, report, signals, config.name if progress else None):
                        blocks = filter(None, map(claims.take, part.blocks(config.runs(), device, jobs)))
                        commits.keep(results(blocks, jobs, device, signals, **how))
                    store.tidy()
                signals.check()
            except (KeyboardInterrupt, ClusterLost) as error:
                raise SweepInterrupted(report, out, str(error)) from None
    return report


def _earlier(out: Path, retry: str | None) -> tuple[Ends, Earlier]:
    """Mend the store, if there is one, and return how runs in it have ended."""
    store = Store.find(out)
    found = store.mend() if store else Snapshot([], [], [])
    return Ends(out, found), Earlier.of(found, retry)


@dataclass(frozen=True)
class Earlier:
    """Runs that ended in earlier sweeps: with a result, and with failures that are ``left`` as they are."""

    finished: frozenset[str]
    left: frozenset[str]
    retried: bool

    @classmethod
    def of(cls, found: Snapshot, retry: str | None) -> Earlier:
        """Read them; with retry all failed runs are tried again that have not failed MOST_FAILURES times."""
        finished = frozenset(found.finished().to_pylist())
        left = {run_id for run_id, times in found.failures().items() if retry is None or times >= MOST_FAILURES}
        return cls(finished, frozenset(left - finished), retry is not None)

    def report(self, plan: Plan) -> SweepReport:
        """Return the report of a sweep that begins."""
        failed = int(plan.among(self.left).todo.sum())
        return SweepReport(
            total=int(plan.mine.sum()),
            reused=int((plan.mine & ~plan.todo).sum()) - failed,
            others=len(self.finished.difference(plan.run_ids.tolist())),
            failed=failed,
            given_up=failed if self.retried else 0,
        )
