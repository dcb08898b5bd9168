"""The picture of a run in a terminal, and what is left of it elsewhere."""

import io

import numpy as np
import pytest
from rich.console import Console
from stores import trajectory
from typer.testing import CliRunner

from featlearn.cli import app
from featlearn.cli.picture import picture

CONFIG = """\
data: {n_samples: 4, dim: 50, signal_norm: 2.0}
network: {n_filters: 2, init_std: 0.05}
optimizer: {name: sgd, lr: 0.1}
train: {n_steps: 6}
record: {every: 2, trackers: [loss]}
"""
COLUMNS = ("train_loss", "test_error", "signal_coef_mean", "noise_coef_pos_mean")


@pytest.fixture
def ended():
    """Return a run whose loss and error fall, and whose noise coefficient grows ten times as far as the signal's."""
    run = trajectory(0, steps=(0, 10, 20), columns=COLUMNS)
    rising = np.array([0.0, 0.5, 1.0])
    run.values.update(zip(COLUMNS, (1 - rising, 0.5 - rising / 4, rising / 10, rising), strict=True))
    return run


def shown(run, *, width=60, encoding="utf-8", terminal=True, environ=None):
    """Return the lines that a terminal gets."""
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = Console(file=file, width=width, force_terminal=terminal, _environ={"TERM": "xterm", **(environ or {})})
    drawn = picture(run, console)
    if drawn is None:
        return None
    console.print(drawn, no_wrap=True, crop=True)
    file.flush()
    return file.buffer.getvalue().decode(encoding).splitlines()


def test_every_quantity_is_a_line_with_its_first_and_last_value(ended):
    lines = shown(ended, environ={"NO_COLOR": "1"})
    assert "\x1b" not in "".join(lines) and len(lines) == 9 and max(map(len, lines)) <= 60
    loss = lines[1].split()
    assert loss[:2] == ["train_loss", "1"] and loss[-1] == "0" and loss[2][0] == "█" and loss[2][-1] == "▁"
    assert lines[-1].split() == ["step", "0", "20"]


def test_coefficients_share_a_scale(ended):
    lines = shown(ended, environ={"NO_COLOR": "1"})
    signal, noise = (next(line for line in lines if name in line) for name in COLUMNS[2:])
    assert max(signal.split()[2]) < "▄" and noise.split()[2].endswith("████")


def test_a_terminal_has_colours_unless_they_are_refused(ended):
    assert "\x1b[33m" in "".join(shown(ended))


@pytest.mark.parametrize("words", [{"encoding": "ascii"}, {"environ": {"TERM": "dumb", "NO_COLOR": "1"}}])
def test_ascii_where_the_terminal_knows_no_other(ended, words):
    lines = shown(ended, **words)
    assert "".join(lines).isascii() and len(lines) == 5 and "@" in lines[0]


def test_no_picture_without_a_terminal_or_without_room_or_records(ended):
    assert shown(ended, terminal=False) is None and shown(ended, width=30) is None
    assert shown(trajectory(0, steps=(0,), columns=COLUMNS)) is None
    assert shown(trajectory(0, columns=("distance",))) is None
    ended.values["test_error"][1] = np.nan
    assert not any("test_error" in line for line in shown(ended))


def test_constant_values_are_drawn(ended):
    ended.values["train_loss"] = np.full(3, 0.5)
    assert set(shown(ended, environ={"NO_COLOR": "1"})[1].split()[2]) == {"▁"}


def test_output_that_goes_elsewhere_has_no_picture_and_quiet_prints_nothing(tmp_path):
    (tmp_path / "x.yaml").write_text(CONFIG)
    result = CliRunner().invoke(app, ["run", str(tmp_path / "x.yaml")])
    assert result.exit_code == 0 and result.stdout.isascii() and "train_loss" in result.stdout
    assert result.stdout.count("train_loss") == 1 and "\x1b" not in result.stdout
    result = CliRunner().invoke(app, ["run", str(tmp_path / "x.yaml"), "-q"])
    assert result.exit_code == 0 and result.stdout == ""
