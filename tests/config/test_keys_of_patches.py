"""The keys of xor, losses, second layers and activations: shown, read, and refused in one line with place and key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
from typer.testing import CliRunner

from featlearn.cli import app
from featlearn.config import ConfigWarning, SweepConfig, describe, schema
from featlearn.data import XOR
from featlearn.functions import ACTIVATIONS, LOSSES
from featlearn.models import TwoLayerCNN

Problems = Callable[..., list[str]]
BASE = """
data: {model: xor, n_samples: 8, dim: 40, signal_norm: 2.0, angle: 60}
network: {n_filters: 2, activation: gelu, loss: square, second_layer: trained}
optimizer: {name: sgd, lr: 0.1}
train: {n_steps: 4}
"""


def test_words_of_the_network_are_those_of_the_functions() -> None:
    hints = get_type_hints(TwoLayerCNN)
    assert get_args(hints["activation"]) == tuple(ACTIVATIONS) and get_args(hints["loss"]) == tuple(LOSSES)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("data.model=xro", "data.model: expected one of signal_noise, xor, spurious, margins"),
        ("data.model=xro", "did you mean 'xor'?"),
        ("data.angle=0", "data.angle: expected a number > 0 and < 180, found 0"),
        ("data.angle=180", "data.angle: expected a number > 0 and < 180, found 180"),
        ("data.angle=right", 'data.angle: expected a number > 0 and < 180, found "right"'),
        ("data.angel=60", "data.angel: unknown key; did you mean 'angle'?"),
        ("data.dim=2", "data.dim: expected an integer >= 3"),
        ("data.snr=0.1", "data.snr: give exactly one of signal_norm and snr"),
        ("data.signal_norm=-1", "data.signal_norm: expected a number >= 0 or null, found -1"),
        ("data.orthogonal_noise=true", "data.orthogonal_noise: not a key of XOR, which has"),
        ("network.loss=sqare", "found \"sqare\"; did you mean 'square'?"),
        ("network.loss=2", "network.loss: expected one of logistic, exponential, hinge"),
        ("network.second_layer=traned", "found \"traned\"; did you mean 'trained'?"),
        ("network.second_layer=true", "network.second_layer: expected one of fixed, trained, found true"),
        ("network.activation=gleu", "found \"gleu\"; did you mean 'gelu'?"),
        ("network.activation=[relu, tanh]", "several values belong under sweep"),
    ],
)
def test_bad_input_is_one_line(problems: Problems, setting: str, message: str) -> None:
    (line,) = problems(base=BASE, set=[setting])
    assert line.startswith("--set: ") and message in line


def test_signals_whose_square_overflows_are_refused(problems: Problems) -> None:
    (line,) = problems(base=BASE, set=["data.signal_norm=1e200"])
    assert line == "x.yaml:2: data: an inner product of signals is not a finite number"


def test_it_names_file_and_line_ends_with_2_and_writes_nothing(write: Callable[..., Path]) -> None:
    path = write(BASE.replace("angle: 60", "angle: 180"))
    for command in (["sweep", str(path), "--out", "store"], ["run", str(path)], ["export", str(path), "-o", "x.npz"]):
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 2 and "x.yaml:2: data.angle: expected a number > 0 and < 180" in done.output
    assert sorted(entry.name for entry in Path().iterdir()) == ["x.yaml"]


def test_they_are_read_and_expanded(write: Callable[..., Path], load: Callable[..., SweepConfig]) -> None:
    run = load(base=BASE).base_run()
    assert isinstance(run.data, XOR) and run.columns()["data.angle"] == 60.0
    assert (run.network.loss, run.network.second_layer) == ("square", "trained")
    shown = CliRunner().invoke(app, ["validate", str(write(BASE)), "--expand"]).output
    assert "angle" in shown and "second_layer" in shown


def test_list_and_schema_know_them() -> None:
    (entry,) = describe("data", "xor")
    assert "arXiv 2310.01975" in entry.reference and "angle" in {parameter.name for parameter in entry.parameters}
    text = str(schema())
    assert all(f"'{word}'" in text for word in (*ACTIVATIONS, *LOSSES, "second_layer", "angle", "xor"))


def test_theory_scales_outside_their_setting_are_warned_of(load: Callable[..., SweepConfig]) -> None:
    optimizer = {"name": "sam", "lr": 0.1, "rho": {"theory": 1}}
    message = "optimizer.rho: the theory scale is derived for data.model = signal_noise, network.loss = logistic"
    with pytest.warns(ConfigWarning, match=message):
        load(base=BASE, set={"optimizer": optimizer, "network.init_std": {"theory": 0.1}})
    load(base=BASE, set={"network.init_std": {"theory": 0.1}})
