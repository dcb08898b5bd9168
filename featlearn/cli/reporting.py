"""``featlearn report``: stores as one HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from featlearn.cli.app import Once, app, own_backend, printed_warnings, user_errors
from featlearn.cli.options import read_conditions


@app.command(cls=Once)
@user_errors()
def report(
    stores: Annotated[list[Path], typer.Argument(help="The folders of sweeps, a section each.", show_default=False)],
    out: Annotated[Path, typer.Option("-o", "--out", help="An .html file.", show_default=False)],
    title: Annotated[str | None, typer.Option(help="The heading; by default the names of the sweeps.")] = None,
    where: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE,...", help="Runs with these values alone. Repeatable.")
    ] = None,
    all_sweeps: Annotated[bool, typer.Option("--all-sweeps", help="Runs of earlier sweeps too.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that is no report of featlearn.")] = False,
) -> None:
    """Write a page with everything about sweeps: it opens without a network, and is sent as one file."""
    own_backend()
    from featlearn.reports import report
    from featlearn.store import StoreWarning

    with printed_warnings(StoreWarning):
        chosen = read_conditions(where or [])
        typer.echo(report(stores, out, title=title, where=chosen, all_sweeps=all_sweeps, force=force))
