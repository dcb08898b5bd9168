"""The commands that rewrite stores: several into one, many files into few."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from featlearn.cli.app import Once, StoreFolder, app, printed_warnings, user_errors


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
    typer.echo(f"{out}: {n_runs} runs{f', {missing} missing' if missing else ''}")


@app.command(cls=Once)
@user_errors()
def compact(store: StoreFolder) -> None:
    """Join the many small files of a long sweep into few large ones, which are read faster; at any time."""
    from featlearn.store import Store, StoreWarning

    with printed_warnings(StoreWarning):
        before, after = Store.open(store).compact()
    typer.echo(f"{store}: {before} parts, now {after}")
