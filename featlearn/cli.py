"""The command line: parse, call, exit code. What a command needs is imported when it is called.

Exit codes: 0 done; 1 some runs failed (a diverged run is a result); 2 the config or the call is wrong;
130 interrupted, resumable.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from featlearn.config import SweepConfig

RUNS_FAILED, WRONG, INTERRUPTED = 1, 2, 130
OVER_STEPS = ("dynamics", "edge")  # the plots that need every recorded step, not only the last

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Feature learning in two-layer convolutional networks: simulate, sweep, plot.",
)

ConfigFile = Annotated[Path, typer.Argument(help="A YAML config.", show_default=False)]
StoreFolder = Annotated[Path, typer.Argument(help="The folder of a sweep.", show_default=False)]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a key, such as data.dim=2000; repeatable."),
]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]


def main() -> None:
    """Run the command line."""
    app()


def _version(wanted: bool) -> None:
    if wanted:
        from featlearn import __version__

        typer.echo(f"featlearn {__version__}")
        raise typer.Exit


Version = Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")]


@app.callback()
def _options(version: Version = False) -> None:
    pass


@contextmanager
def user_errors() -> Iterator[None]:
    """Turn what a user can cause into a message and an exit code; anything else is a bug and keeps its traceback."""
    try:
        yield
    except KeyboardInterrupt as interruption:
        _end(str(interruption) or "interrupted", INTERRUPTED)
    except BrokenPipeError:
        raise
    except OSError as error:
        _end(f"error: {error.filename}: {error.strerror}" if error.filename else f"error: {error}", WRONG)
    except Exception as error:
        if isinstance(error, typer.Exit) or not _is_the_users(error):
            raise
        _end("\n".join(f"error: {line}" for line in str(error).splitlines()), WRONG)


def _is_the_users(error: Exception) -> bool:
    from featlearn.config import ConfigError

    return isinstance(error, ConfigError | ValueError)


def _end(message: str, code: int) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(code)


@contextmanager
def _telling(category: type[Warning]) -> Iterator[None]:
    """Say warnings on standard error, in one line each."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", category)
        yield
    for warning in caught:
        typer.echo(f"warning: {warning.message}", err=True)


def _load(path: Path, changes: list[str] | None) -> SweepConfig:
    from featlearn.config import ConfigWarning, load_config

    with _telling(ConfigWarning):
        return load_config(path, set=changes or ())


@app.command()
@user_errors()
def run(config: ConfigFile, changes: Settings = None, device: Device = "auto") -> None:
    """Simulate the base run of a config; print how it ended."""
    base = _load(config, changes).base_run()
    from featlearn.custom import FAILURES
    from featlearn.simulation import simulate
    from featlearn.sweeps.checks import checked_device
    from featlearn.sweeps.worker import describe
    from featlearn.texts import trajectory_text

    device = checked_device(device)
    try:
        trajectory = simulate(base, device=device)
    except FAILURES as error:
        _end(f"the run failed: {describe(error)}", RUNS_FAILED)
    typer.echo(trajectory_text(trajectory))


@app.command()
@user_errors()
def sweep(
    config: ConfigFile,
    out: Annotated[Path, typer.Option(help="Store: a new or empty folder, or one to resume.", show_default=False)],
    changes: Settings = None,
    jobs: Annotated[int, typer.Option(help="Processes; -1 for one a core.")] = 1,
    device: Device = "auto",
    backend: Annotated[str, typer.Option(help="loky.")] = "loky",
    scheduler: Annotated[str | None, typer.Option(help="Address of a dask scheduler.")] = None,
    shard: Annotated[str | None, typer.Option(metavar="I/N", help="Compute the i-th of n shares only.")] = None,
) -> None:
    """Compute what a store lacks of a config's grid; resumable."""
    loaded = _load(config, changes)
    from featlearn.sweeps import sweep

    options: dict[str, Any] = {"n_jobs": jobs, "device": device, "backend": backend}
    report = sweep(loaded, out, scheduler=scheduler, shard=shard, **options)
    typer.echo(f"{loaded.name}: {report} in {report.seconds:.1f} s; the store is {out}")
    if report.others:
        typer.echo(
            f"it also holds runs of earlier sweeps ({report.others}), which plots leave out without --all-sweeps"
        )
    if report.failed:
        _end(f"{report.failed} runs failed: `featlearn status {out}` says why", RUNS_FAILED)


@app.command()
@user_errors()
def status(store: StoreFolder) -> None:
    """Say how far a sweep is; what failed, and why."""
    from featlearn.store import status
    from featlearn.texts import status_text

    typer.echo(status_text(status(store), store))


@app.command()
@user_errors()
def validate(
    config: ConfigFile,
    changes: Settings = None,
    expand: Annotated[bool, typer.Option("--expand", help="Resolve every run; show the first and the last.")] = False,
) -> None:
    """Report every error of a config, or what it asks for."""
    from featlearn.texts import config_text, expanded_text

    loaded = _load(config, changes)
    typer.echo(expanded_text(loaded) if expand else config_text(loaded))


@app.command()
@user_errors()
def export(
    config: ConfigFile,
    out: Annotated[Path, typer.Option("-o", "--out", help="An .npz file.", show_default=False)],
    changes: Settings = None,
) -> None:
    """Write the base run of a config as plain arrays."""
    loaded = _load(config, changes)
    from featlearn.export import export

    arrays = export(loaded, out)
    typer.echo(f"{out}: {', '.join(arrays)}")
    if loaded.base_run().sampling == "gram":
        typer.echo("drawn from explicit vectors: another draw of the same law than `run` makes (sampling: gram)")


@app.command("list")
@user_errors()
def list_(
    kind: Annotated[
        str | None, typer.Argument(help="data, models, optimizers, schedules, trackers or engines.")
    ] = None,
    word: Annotated[str | None, typer.Argument(help="One of them, or your own: my_rules.py:MySAM.")] = None,
) -> None:
    """List what a config may name; of one kind with parameters, of one word with their bounds and meanings."""
    from featlearn.config import describe
    from featlearn.config.catalogue import KINDS
    from featlearn.texts import brief_text, entry_text, words_text

    if kind:
        typer.echo("\n\n".join(map(entry_text if word else brief_text, describe(kind, word))))
    else:
        typer.echo("\n\n".join(words_text(kind, describe(kind)) for kind in (*KINDS, "engines")))


@app.command()
@user_errors()
def schema() -> None:
    """Print the JSON schema of a config, for editors."""
    from featlearn.config import schema

    typer.echo(json.dumps(schema(), indent=2))


@app.command()
@user_errors()
def bench(
    json_file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Also write all figures.")] = None,
    figures: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Also draw the cost against sizes.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Few sizes, few rounds.")] = False,
    only: Annotated[list[str] | None, typer.Option(metavar="SECTION", help="Measure this only; repeatable.")] = None,
    device: Device = "auto",
) -> None:
    """Time the Gram engine against an explicit PyTorch loop and its arithmetic limit; what each size costs."""
    from featlearn.bench import Setting, run_benchmarks
    from featlearn.bench.text import report_text

    for folder in filter(None, (json_file and json_file.parent, figures)):
        folder.mkdir(parents=True, exist_ok=True)
    setting = Setting.on(device, quick=quick)
    report = run_benchmarks(setting, only or (), lambda name: typer.echo(f"{name} ...", err=True))
    if json_file:
        json_file.write_text(json.dumps(report, indent=1))
    if figures:
        from featlearn.bench.figures import draw

        draw(report, figures)
    typer.echo(report_text(report))


@app.command()
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
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Keep the runs with this value; repeatable.")
    ] = None,
    optimizer: Annotated[str | None, typer.Option(help="Draw this optimizer only.")] = None,
    first: Annotated[str | None, typer.Option(help="Optimizer to subtract from; SGD if there is one.")] = None,
    second: Annotated[str | None, typer.Option(help="Optimizer to subtract; the other of two.")] = None,
    train_loss_tol: Annotated[float | None, typer.Option(help="Factor; leave out pairs that fit less alike.")] = None,
    theory: Annotated[str | None, typer.Option(help="Law to lay over a phase diagram.")] = None,
    constant: Annotated[float | None, typer.Option(help="The law's constant; fitted if not given.")] = None,
    level: Annotated[float | None, typer.Option(help="Value at which a boundary is measured.")] = None,
    band: Annotated[str | None, typer.Option(help="What the bands of dynamics show: quantiles or se.")] = None,
    log: Annotated[bool | None, typer.Option("--log/--no-log", help="Steps of dynamics on a logarithm.")] = None,
    all_sweeps: Annotated[bool, typer.Option("--all-sweeps", help="Runs of earlier sweeps too.")] = False,
) -> None:
    """Draw a figure of a store, with its table as CSV beside it."""
    options = {key: value for key, value in locals().items() if key not in ("kind", "store", "out", "all_sweeps")}
    from featlearn.plots import KINDS, check_suffix, save
    from featlearn.store import StoreWarning, load, status, summary

    check_suffix(out)
    if kind not in KINDS:
        raise ValueError(f"no plot {kind!r}; there are {', '.join(KINDS)}")
    with _telling(StoreWarning):
        rows = (load if kind in OVER_STEPS else summary)(store, all_sweeps=all_sweeps)
    figure, table = KINDS[kind](rows, options | {"where": dict(map(_condition, where or []))})
    for path in save(figure, table, out):
        typer.echo(path)
    if failed := status(store).failed:
        typer.echo(f"warning: {failed} failed runs are not in it; featlearn status says why", err=True)


def _condition(text: str) -> tuple[str, Any]:
    """Read "key=value", the value as JSON where it is that."""
    key, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"--where expects KEY=VALUE, found {text!r}")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value
