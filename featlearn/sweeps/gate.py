"""Asks each worker of a dask cluster, as it joins, whether it has the versions of the sweep that is waiting for it.

A worker that has receives a resource, without which dask gives it no blocks. The plugin that asks is sent as code, and
imports featlearn there by itself, so that a worker without it can say so.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def name_of(wanted: Mapping[str, str | None]) -> str:
    """Return the name of a resource for an installation."""
    return f"featlearn-{hashlib.sha256(json.dumps(wanted).encode()).hexdigest()[:12]}"


def plugin(name: str, wanted: Mapping[str, str | None]) -> Any:
    """Return the plugin of a worker: it gives the resource ``name``, or logs why not under that topic."""
    import distributed  # type: ignore[import-not-found,unused-ignore]

    class Gate(distributed.WorkerPlugin):  # type: ignore[misc,name-defined,unused-ignore]  # inside: sent as code
        async def setup(self, worker: Any) -> None:
            try:
                from featlearn.sweeps.remote import installation

                found = installation()
            except Exception as error:
                wrong = f"it has no such featlearn ({type(error).__name__}: {error})"
            else:
                apart = {key: (found.get(key), wanted[key]) for key in wanted if wanted[key] != found.get(key)}
                code = ["other code of featlearn"] if apart.pop("code", None) else []
                texts = [*code, *(f"{key} {there} in place of {here}" for key, (there, here) in apart.items())]
                wrong = f"it has {', '.join(texts)}" * bool(texts)
            if not wrong and worker.state.total_resources.get(name) != worker.state.nthreads:
                await worker.set_resources(**{name: worker.state.nthreads})
            worker.log_event(name, {"address": worker.address, "wrong": wrong})

    return Gate()


def waker() -> Any:
    """Return a function of the scheduler that hands out the blocks that have waited for a worker with the resource.

    dask looks for such tasks when a worker joins, which is before it has been asked.
    """

    def wake(dask_scheduler: Any) -> None:
        for worker in dask_scheduler.workers.values():
            runnable = dask_scheduler.bulk_schedule_unrunnable_after_adding_worker(worker)
            dask_scheduler.transitions(runnable, "featlearn-gate")

    return wake
