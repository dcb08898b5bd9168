"""``featlearn plot``: a figure of a store."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, nan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from featlearn.cli.app import Once, StoreFolder, app, own_backend, telling, user_errors

if TYPE_CHECKING:
    import pandas as pd

OVER_STEPS = ("dynamics", "edge")  # the plots that need every recorded step, not only the last


@app.command(cls=Once)
@user_errors()
def plot(
    kind: Annotated[
        str, typer.Argument(help="curve, phase, difference, dynamics, boundary, edge.", show_default=False)
    ],
    store: StoreFolder,
    out: Annotated[Path, typer.Option("-o", "--out", help="A .png, .pdf or .svg file.", show_default=False)],
    x: Annotated[str | None, typer.Option("-x", help="Column of the horizontal axis.")] = None,
    y: Annotated[str | None, typer.Option("-y", help="Column of the vertical axis.")] = None,
    value: Annotated[str | None, typer.Option(help="Column that the colour, or a curve, shows.")] = None,
    columns: Annotated[list[str] | None, typer.Option("--column", help="Column over steps; repeatable.")] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE,...", help="Keep the runs with this value, or one of these; repeatable."),
    ] = None,
    optimizer: Annotated[list[str] | None, typer.Option(help="Draw this optimizer only; repeatable.")] = None,
    step: Annotated[int | None, typer.Option(metavar="N", help="Read runs at this step, not at their last.")] = None,
    at_train_loss: Annotated[
        float | None, typer.Option(metavar="L", help="Read runs when their train loss first reaches this.")
    ] = None,
    first: Annotated[str | None, typer.Option(help="Optimizer to subtract from; SGD if there is one.")] = None,
    second: Annotated[str | None, typer.Option(help="Optimizer to subtract; the other of two.")] = None,
    train_loss_tol: Annotated[float | None, typer.Option(help="Factor; leave out pairs that fit less alike.")] = None,
    theory: Annotated[str | None, typer.Option(help="Law to lay over a phase diagram.")] = None,
    constant: Annotated[float | None, typer.Option(help="The law's constant; fitted if not given.")] = None,
    level: Annotated[float | None, typer.Option(help="Value at which a boundary is measured.")] = None,
    band: Annotated[str | None, typer.Option(help="What the bands of dynamics show: quantiles or se.")] = None,
    log: Annotated[bool | None, typer.Option("--log/--no-log", help="Steps of dynamics on a logarithm.")] = None,
    log_y: Annotated[bool | None, typer.Option("--log-y/--no-log-y", help="The vertical axis on a logarithm.")] = None,
    overlay: Annotated[
        bool | None, typer.Option("--overlay", help="All optimizers (edge: cells) in one panel.")
    ] = None,
    title: Annotated[str | None, typer.Option(help="Words above the figure.")] = None,
    size: Annotated[
        str | None,
        typer.Option(metavar="WIDTHxHEIGHT", help="Inches, such as 6.9x3; by default what is in it decides."),
    ] = None,
    dpi: Annotated[float | None, typer.Option(help="Dots in an inch; 300 if not given.")] = None,
    no_caption: Annotated[bool, typer.Option("--no-caption", help="Leave out the words below.")] = False,
    all_sweeps: Annotated[bool, typer.Option("--all-sweeps", help="Runs of earlier sweeps too.")] = False,
) -> None:
    """Draw a figure of a store, with its table as CSV beside it."""
    others = ("kind", "store", "out", "all_sweeps", "size", "dpi", "no_caption", "step", "at_train_loss")
    options = {key: value for key, value in locals().items() if key not in ("others", *others)}
    options |= {"size": size and _inches(size), "caption": False if no_caption else None}
    own_backend()
    from featlearn.plots import KINDS, check_suffix, save
    from featlearn.store import StoreWarning, load, status, summary

    check_suffix(out)
    if kind not in KINDS:
        raise ValueError(f"no plot {kind!r}; there are {', '.join(KINDS)}")
    conditions, at = _conditions(where or []), _checked_moment(kind, step, at_train_loss)
    with telling(StoreWarning):
        rows = (load if at or kind in OVER_STEPS else summary)(store, all_sweeps=all_sweeps)
    with telling(UserWarning):
        figure, table = KINDS[kind](at(rows) if at else rows, options | {"where": conditions})
    for path in save(figure, table, out, dpi):
        typer.echo(path)
    if failed := status(store).failed:
        typer.echo(f"warning: {failed} failed runs are not in it; featlearn status says why", err=True)


def _inches(size: str) -> tuple[float, float]:
    """Read "6.9x3"."""
    try:
        width, height = map(float, size.lower().split("x"))
    except ValueError:
        width = height = nan
    if not 0 < min(width, height) <= max(width, height) < inf:
        raise ValueError(f"--size expects WIDTHxHEIGHT in inches, such as 6.9x3, found {size!r}")
    return width, height


def _checked_moment(kind: str, step: int | None, loss: float | None) -> Callable[[pd.DataFrame], pd.DataFrame] | None:
    """Return what reads the runs elsewhere than at their last step, None if they are read there."""
    from featlearn.tables import at_step

    given = [name for name, value in (("--step", step), ("--at-train-loss", loss)) if value is not None]
    if given and kind in OVER_STEPS:
        raise ValueError(f"{given[0]} reads every run once; {kind} shows it over all steps")
    if len(given) > 1:
        raise ValueError("--step and --at-train-loss both say where a run is read: give one of them")
    if step is not None:
        return lambda rows: at_step(rows, step)
    return None if loss is None else lambda rows: _at_train_loss(rows, loss)


def _at_train_loss(rows: pd.DataFrame, loss: float) -> pd.DataFrame:
    """Read the runs at a train loss. Raises ValueError if none reaches it."""
    from featlearn.tables import at_train_loss

    table = at_train_loss(rows, loss)
    if not table["reached"].any():
        least = rows["train_loss"].min()
        raise ValueError(f"no run reaches a train loss of {loss:g}; the smallest that was recorded is {least:g}")
    return table


def _conditions(texts: list[str]) -> dict[str, list[Any]]:
    """Read every "key=value,value"; the values of a key that is given twice add up, and no value is null."""
    found: dict[str, list[Any]] = {}
    for text in texts:
        key, equals, values = text.partition("=")
        if not (key and equals):
            raise ValueError(f"--where expects KEY=VALUE, found {text!r}")
        found.setdefault(key, []).extend(_values(key, values))
    return found


def _values(key: str, text: str) -> list[Any]:
    """Read a value as --set reads one, or several with commas between them."""
    from featlearn.config.problems import ConfigError, Problem
    from featlearn.config.source import read_yaml

    several = "," in text
    problems: list[Problem] = []
    read = read_yaml(f"[{text}]" if several else text, "--where", key, problems)
    if problems:
        raise ConfigError(problems)
    value = read and read.plain
    return list(value) if several and isinstance(value, list) else [value]
