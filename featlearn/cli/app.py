"""Shared by all commands: the application, their common arguments, and messages and exit codes for errors."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand

from featlearn.escapes import printable

if TYPE_CHECKING:
    from featlearn.config import SweepConfig

RUNS_FAILED, WRONG, INTERRUPTED = 1, 2, 130

app = typer.Typer(
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
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
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but warnings and errors.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]


def _version(wanted: bool) -> None:
    if wanted:
        from featlearn import __version__

        typer.echo(f"featlearn {__version__}")
        raise typer.Exit


Version = Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")]


@app.callback()
def _options(version: Version = False) -> None:
    pass


class Once(TyperCommand):
    """A command that refuses an option given twice, of which only the last would count."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments of a call. Raises BadParameter for an option that is given twice."""
        order: list[Any] = [] if ctx.resilient_parsing else self.make_parser(ctx).parse_args(args=list(args))[2]
        twice = [parameter for parameter in order if order.count(parameter) > 1 and not parameter.multiple]
        if twice and not twice[0].is_eager:
            raise typer.BadParameter("given twice, where one value counts", ctx=ctx, param=twice[0])
        return super().parse_args(ctx, args)


@contextmanager
def user_errors() -> Iterator[None]:
    """Turn errors that a user can cause into a message and an exit code; any other is a bug and keeps its traceback."""
    try:
        yield
    except KeyboardInterrupt as interruption:
        end(str(interruption) or "interrupted", INTERRUPTED)
    except BrokenPipeError:
        raise
    except MemoryError:
        end("error: this machine has not enough memory for that", WRONG)
    except OSError as error:
        end(f"error: {error.filename}: {error.strerror}" if error.filename else f"error: {error}", WRONG)
    except Exception as error:
        if isinstance(error, typer.Exit) or not _is_the_users(error):
            raise
        end("\n".join(f"error: {line}" for line in str(error).splitlines()), WRONG)


def _is_the_users(error: Exception) -> bool:
    from featlearn.config import ConfigError

    return isinstance(error, ConfigError | ValueError)


def say(text: object, err: bool = False) -> None:
    """Print text, of which a part may come from a user's code or files, without what a terminal would act on."""
    typer.echo(printable(str(text)), err=err)


def end(message: str, code: int) -> NoReturn:
    """Print a message on standard error, and exit with a code."""
    say(message, err=True)
    raise typer.Exit(code)


@contextmanager
def printed_warnings(category: type[Warning]) -> Iterator[None]:
    """Print warnings of a category on standard error when they come, in one line each."""

    def show(message: Warning | str, *_: Any) -> None:
        say(f"warning: {message}", err=True)

    with warnings.catch_warnings():
        warnings.simplefilter("always", category)
        warnings.showwarning = show  # type: ignore[assignment]  # of all that it is given it needs the message
        yield


def load(path: Path, changes: list[str] | None) -> SweepConfig:
    """Read a config with the changes of --set; its warnings go to standard error."""
    from featlearn.config import ConfigWarning, load_config

    with printed_warnings(ConfigWarning):
        return load_config(path, set=changes or ())


def own_backend() -> None:
    """Draw into files, without a window, whatever MPLBACKEND or matplotlibrc specify."""
    os.environ["MPLBACKEND"] = "agg"  # before matplotlib is imported, which fails for an unknown one
    import matplotlib

    matplotlib.use("agg")
