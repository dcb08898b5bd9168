"""The commands about stores: several into one, many files into few, one run once more."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from featlearn.cli.app import RUNS_FAILED, Device, Once, StoreFolder, app, end, printed_warnings, say, user_errors


@app.command(cls=Once)
@user_errors()
def merge(
    stores: Annotated[list[Path], typer.Argument(help="The folders of the shards of a sweep.", show_default=False)],
    out: Annotated[Path, typer.Option("-o", "--out", help="A new or an empty folder.", show_default=False)],
    all_sweeps: Annotated[bool, typer.Option("--all-sweeps", help="Also merge stores of different sweeps.")] = False,
) -> None:
    """Join the stores of the shards of a sweep into one, each run once; resumable."""
    from featlearn.store import StoreWarning, merge, status

    with printed_warnings(StoreWarning):
        n_runs = merge(stores, out, all_sweeps=all_sweeps)
    missing = status(out).missing
    say(f"{out}: {n_runs} runs{f', {missing} missing' if missing else ''}")


@app.command(cls=Once)
@user_errors()
def compact(store: StoreFolder) -> None:
    """Join the many small files of a long sweep into few large ones, which are read faster; at any time."""
    from featlearn.store import Store, StoreWarning

    with printed_warnings(StoreWarning):
        before, after = Store.open(store).compact()
    say(f"{store}: {before} parts, now {after}")


@app.command(cls=Once)
@user_errors()
def rerun(
    store: StoreFolder,
    run_id: Annotated[str, typer.Argument(help="A run's id, or its first characters.", show_default=False)],
    device: Device = "auto",
) -> None:
    """Compute one run of a store again, and compare its bits; exit code 1 if they differ."""
    from featlearn.config import ConfigWarning
    from featlearn.custom import FAILURES
    from featlearn.reruns import rerun
    from featlearn.sweeps.worker import describe
    from featlearn.texts import rerun_text

    try:
        with printed_warnings(ConfigWarning):
            found = rerun(store, run_id, device=device)
    except ValueError:
        raise
    except FAILURES as error:
        end(f"the run failed: {describe(error)}", RUNS_FAILED)
    say(rerun_text(found, store))
    if not found.equal:
        raise typer.Exit(RUNS_FAILED)
