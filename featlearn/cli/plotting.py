"""``featlearn plot KIND``: a figure of a store. A kind's options are those of the function that draws it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from featlearn.cli.app import Once, StoreFolder, app, own_backend, printed_warnings, say, user_errors
from featlearn.cli.options import flag, read, with_options

if TYPE_CHECKING:
    from featlearn.plots.kinds import Kind

Out = Annotated[Path, typer.Option("-o", "--out", help="A .png, .pdf or .svg file.", show_default=False)]
Force = Annotated[bool, typer.Option("--force", help="Overwrite files that are no figure of featlearn.")]
Dpi = Annotated[float | None, typer.Option(help="Dots in an inch; 300 if not given.")]
AllSweeps = Annotated[bool, typer.Option("--all-sweeps", help="Runs of earlier sweeps too.")]


class Kinds(TyperGroup):
    """One command per kind of figure, made on use: matplotlib and pandas take a second to load."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of the kinds."""
        return [*_kinds()]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command of a kind; refuse an unknown one with the names of all."""
        if cmd_name in _kinds():
            return command(cmd_name)
        return None if ctx.resilient_parsing else ctx.fail(f"no plot {cmd_name!r}; there are {', '.join(_kinds())}")


app.add_typer(
    typer.Typer(cls=Kinds, no_args_is_help=True, help="Draw a figure of a store, and its table as CSV next to it."),
    name="plot",
    subcommand_metavar="KIND STORE -o FILE",
)


def _kinds() -> dict[str, Kind]:
    own_backend()
    from featlearn.plots import KINDS

    return KINDS


def command(name: str) -> Any:
    """Return the command that draws a kind of figure."""
    kinds = _kinds()
    own = kinds[name].options
    others = {key: option for kind in kinds.values() for key, option in kind.options.items() if key not in own}

    @user_errors()
    def draw(
        store: StoreFolder, out: Out, dpi: Dpi = None, all_sweeps: AllSweeps = False, force: Force = False, **given: Any
    ) -> None:
        for key, option in others.items():
            if given.pop(key) is not None:
                have = [kind for kind in kinds if key in kinds[kind].options]
                raise ValueError(f"{name} has no option {flag(key, option)}; {_listed(have)} it")
        options = {key: read(own[key], value) for key, value in given.items() if value is not None}
        _draw(kinds[name], store, out, options, dpi=dpi, all_sweeps=all_sweeps, force=force)

    alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    alone.command(name, cls=Once, help=kinds[name].summary)(with_options(draw, own, others))
    return typer.main.get_command(alone)


def _listed(names: list[str]) -> str:
    """Return "curve has", or "curve, phase and boundary have"."""
    *first, last = names
    return f"{', '.join(first)} and {last} have" if first else f"{last} has"


def _draw(
    kind: Kind, store: Path, out: Path, options: dict[str, Any], *, dpi: float | None, all_sweeps: bool, force: bool
) -> None:
    """Draw a figure of a store into a file, and its table next to it."""
    from matplotlib.pyplot import close

    from featlearn.plots import check_output, save
    from featlearn.store import StoreWarning, load, status, summary

    check_output(out, force=force)
    every_step = kind.over_steps or not options.keys().isdisjoint(["step", "at_train_loss"])
    with printed_warnings(StoreWarning):
        rows = (load if every_step else summary)(store, all_sweeps=all_sweeps)
    with printed_warnings(UserWarning):
        figure, table = kind(rows, options)
    for path in save(figure, table, out, dpi, force=force):
        say(path)
    close(figure)
    if failed := status(store, verify=False).failed:
        say(f"warning: {failed} failed runs are not in it; `featlearn status` shows why", err=True)
