"""Options of a command are read from annotations, defaults and docstrings alone."""

from collections.abc import Collection, Mapping
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from featlearn.cli.options import flag, read, spelling, with_options
from featlearn.plots.kinds import Option, options


def figure(
    rows,
    *,
    x: str | None = None,
    columns: str | Collection[str] | None = None,
    where: Mapping[str, Any] | None = None,
    level: float | None = None,
    max_steps: int = 3,
    log: bool | None = None,
    overlay: bool = False,
    size: tuple[float, float] | None = None,
):
    """Draw nothing.

    x: column of the
        horizontal axis.
    level: height.
    """


OPTIONS = options(figure)
OTHERS = {"band": Option(str, "se", ""), "caption": Option(bool, None, "")}


def call(*words):
    """Return what a command with these options receives, and its result."""
    received = {}
    app = typer.Typer(add_completion=False, rich_markup_mode=None)

    def command(store: str, quiet: bool = False, **given: Any) -> None:
        received.update(given, store=store, quiet=quiet)

    app.command()(with_options(command, OPTIONS, OTHERS))
    return received, CliRunner().invoke(app, words)


def test_every_annotation_has_its_flag():
    flags = [flag(name, option) for name, option in OPTIONS.items()]
    assert flags == [
        *("-x", "--column", "--where", "--level", "--max-steps", "--log/--no-log", "--overlay", "--size"),
    ]
    assert spelling(str | None).type is str and spelling(int).type is int


def test_defaults_are_those_of_the_function_and_words_become_its_arguments():
    received, result = call("s")
    assert result.exit_code == 0, result.output
    assert received == {"store": "s", "quiet": False, "band": None, "caption": None} | {
        name: option.default for name, option in OPTIONS.items()
    }
    words = "--column", "a", "--column", "b", "--where", "k=1,2", "--no-log", "--overlay", "--size", "6x4.5", "-x", "c"
    received, _ = call("s", *words, "--level", ".5", "--max-steps", "4")
    read_in = {name: read(OPTIONS[name], received[name]) for name in OPTIONS}
    assert read_in == {
        **{"columns": ["a", "b"], "where": {"k": [1, 2]}, "log": False, "overlay": True, "size": (6.0, 4.5)},
        **{"x": "c", "level": 0.5, "max_steps": 4},
    }


def test_the_help_shows_own_options_with_their_meaning_and_default():
    shown = " ".join(call("--help")[1].stdout.split())
    assert "Column of the horizontal axis." in shown and "Height." in shown and "[default: 3]" in shown
    assert "WIDTH[xHEIGHT]" in shown and "Repeatable." in shown
    assert "--band" not in shown and "--caption" not in shown


def test_options_of_others_take_any_words_so_that_they_can_be_refused():
    received, _ = call("s", "--band", "3", "--band", "x", "--no-caption")
    assert (received["band"], received["caption"]) == (["3", "x"], False)


@pytest.mark.parametrize("size", ["6,4", "6x", "0x4", "6x-4", "infx4", "nanx4"])
def test_a_size_is_two_positive_numbers(size):
    with pytest.raises(ValueError, match=f"--size expects WIDTH or WIDTHxHEIGHT .*, found '{size}'"):
        read(OPTIONS["size"], size)
