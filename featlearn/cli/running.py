"""The commands that compute, and ``status``, which reports the progress of a sweep."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from featlearn.cli.app import (
    RUNS_FAILED,
    ConfigFile,
    Device,
    Once,
    Quiet,
    Settings,
    StoreFolder,
    app,
    end,
    load,
    printed_warnings,
    say,
    user_errors,
)

if TYPE_CHECKING:
    from featlearn.runs import Trajectory


@app.command(cls=Once)
@user_errors()
def run(config: ConfigFile, changes: Settings = None, device: Device = "auto", quiet: Quiet = False) -> None:
    """Simulate the base run of a config; print how it ended, and draw it where the output is a terminal."""
    base = load(config, changes).base_run()
    from featlearn.custom import FAILURES
    from featlearn.pace import reporting_to
    from featlearn.simulation import simulate
    from featlearn.sweeps.checks import checked_device
    from featlearn.sweeps.worker import describe
    from featlearn.texts import trajectory_text

    device = checked_device(device)
    try:
        with reporting_to(_announce_once()):
            trajectory = simulate(base, device=device)
    except FAILURES as error:
        end(f"the run failed: {describe(error)}", RUNS_FAILED)
    if not quiet:
        say(trajectory_text(trajectory))
        _draw(trajectory)


def _draw(trajectory: Trajectory) -> None:
    """Draw a run in the terminal; output that goes elsewhere stays as it is."""
    from rich.console import Console

    from featlearn.cli.picture import picture

    console = Console(highlight=False)
    if console.is_terminal and (drawn := picture(trajectory, console)):
        console.print(drawn, no_wrap=True, crop=True)


def _announce_once() -> Callable[[float], None]:
    """Return a listener that announces the first compilation of loops."""
    from featlearn.pace import COMPILING
    from featlearn.sweeps.progress import COMPILES

    announced = False

    def listen(share: float) -> None:
        nonlocal announced
        if share == COMPILING and not announced:
            announced = True
            say(COMPILES, err=True)

    return listen


@app.command(cls=Once)
@user_errors()
def sweep(
    config: ConfigFile,
    out: Annotated[Path, typer.Option(help="Store: a new or empty folder, or one to resume.", show_default=False)],
    changes: Settings = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", metavar="N", help="Processes; -1 for one per core.")] = 1,
    device: Device = "auto",
    shard: Annotated[str | None, typer.Option(metavar="I/N", help="Compute the i-th of n shares only.")] = None,
    time_limit: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="A run that takes longer, alone at last, fails.")
    ] = None,
    retry: Annotated[
        str | None, typer.Option(metavar="failed", help="Compute failed runs again, at most twice.")
    ] = None,
    quiet: Quiet = False,
    backend: Annotated[str, typer.Option(help="loky: this machine; dask: the workers of a scheduler.")] = "loky",
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Of dask, tcp://host:8786; none starts one here.")
    ] = None,
) -> None:
    """Compute the runs of a config's grid that a store lacks; resumable."""
    loaded = load(config, changes)
    from featlearn.store import StoreWarning
    from featlearn.sweeps import sweep

    options: dict[str, Any] = {"n_jobs": jobs, "device": device, "backend": backend, "time_limit": time_limit}
    options |= {"retry": retry}
    with printed_warnings(StoreWarning):
        report = sweep(loaded, out, scheduler=scheduler, shard=shard, progress=not quiet, **options)
    if not quiet:
        say(f"{loaded.name}: {report} in {report.seconds:.1f} s; the store is {out}")
    if report.others and not quiet:
        say(f"it also holds runs of earlier sweeps ({report.others}), which plots leave out without --all-sweeps")
    if report.missing:
        why = "too many runs before them ended their processes, and they were in blocks that do"
        say(f"{report.missing} runs are missing: {why}; the same call goes on", err=True)
    if report.failed:
        again = f"; {report.given_up} of them too often to be tried again" if report.given_up else ""
        again = again or "; `--retry failed` computes them again"
        end(f"{report.failed} runs failed: `featlearn status {out}` shows why{again}", RUNS_FAILED)
    if report.missing:
        raise typer.Exit(RUNS_FAILED)


@app.command(cls=Once)
@user_errors()
def status(store: StoreFolder) -> None:
    """Report the progress of a sweep, and which runs failed and why."""
    from featlearn.store import status
    from featlearn.store.causes import grouped
    from featlearn.texts import status_text

    found = status(store)
    say(status_text(replace(found, failures=grouped(found.failures)), store))
