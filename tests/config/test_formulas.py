"""Numbers given as formulas: the run is that of the numbers written out, in every cell of a sweep."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

import featlearn as fl
from featlearn.cli import app
from featlearn.config import SweepConfig, load_config
from featlearn.config.expression import Expression

Load = Callable[..., SweepConfig]
Problems = Callable[..., list[str]]


def formula(text: str) -> dict[str, str]:
    return {"formula": text}


@pytest.mark.parametrize(
    ("written", "numbers"),
    [
        ({"optimizer.lr": formula("1.6 * sqrt(1000 / dim)")}, {"optimizer.lr": 1.6}),
        ({"optimizer.lr": formula("data.dim / 4000 + train.n_steps")}, {"optimizer.lr": 100.25}),
        ({"train.n_steps": formula("dim / 50")}, {"train.n_steps": 20}),
        ({"train.batch_size": formula("n_samples // 3")}, {"train.batch_size": 6}),
        ({"data.dim": formula("50 * n_samples")}, {}),
        ({"data.noise_std": formula("signal_norm / 4")}, {"data.noise_std": 1.25}),
        ({"network.n_filters": formula("min(n_samples, 7)")}, {"network.n_filters": 7}),
        ({"optimizer.lr": formula("batch_size / n_patches")}, {"optimizer.lr": 10}),  # full, and a default
        ({"optimizer.rho": {"theory": formula("2 * lr")}}, {"optimizer.rho": {"theory": 0.02}}),
        (
            {"optimizer.rho": {"theory": 1}, "optimizer.lr": formula("rho")},
            {"optimizer.rho": {"theory": 1}, "optimizer.lr": 10 * math.sqrt(20) / (2 * math.sqrt(1000))},
        ),
        (
            {"optimizer.lr": formula("rho / 2"), "optimizer.rho": formula("n_filters / 100")},
            {"optimizer.lr": 0.05, "optimizer.rho": 0.1},
        ),
        (
            {"network.init_std": None, "optimizer.lr": formula("init_std")},
            {"network.init_std": None, "optimizer.lr": 1 / math.sqrt(3000)},
        ),
        ({"optimizer.lr": formula("snr")}, {"optimizer.lr": 5 / math.sqrt(1000)}),
        (
            {"data.signal_norm": None, "data.snr": formula("2 / 10"), "optimizer.lr": formula("signal_norm")},
            {"data.signal_norm": None, "data.snr": 0.2, "optimizer.lr": 0.2 * math.sqrt(1000)},
        ),
        (
            {"optimizer.lr_schedule": {"name": "cosine", "steps": formula("n_steps / 2")}},
            {"optimizer.lr_schedule": {"name": "cosine", "steps": 50}},
        ),
        ({"record.every": [1, formula("n_steps / 4")]}, {"record.every": [1, 25]}),
        ({"optimizer.stop": formula("round(8 * sqrt(dim / 1000))")}, {"optimizer.stop": 8}),
    ],
)
def test_the_run_is_that_of_the_numbers(load: Load, written: dict[str, Any], numbers: dict[str, Any]) -> None:
    ours, theirs = load(set=written).base_run(), load(set=numbers).base_run()
    assert ours.run_id == theirs.run_id and ours.columns() == theirs.columns()


def test_a_formula_of_the_base_follows_the_sweep(load: Load) -> None:
    rules = "{name: sgd, lr: {formula: 1 / dim}}, {name: sam, lr: 1, rho: 0.1, stop: {formula: dim / 100}}"
    sweep = f"sweep: {{data.dim: [100, 400], optimizer: [{rules}], seed: [0, 1]}}"
    runs = list(load(sweep).runs())
    steps = [(run.data.dim, getattr(run.optimizer, "lr", None), getattr(run.optimizer, "stop", None)) for run in runs]
    assert steps[::2] == [(100, 0.01, None), (100, None, 1), (400, 0.0025, None), (400, None, 4)]


@pytest.mark.parametrize(
    ("sweep", "set", "expected"),
    [
        ("{optimizer.lr: [0.5, {formula: 1 / dim}]}", {}, [(1000, 0.5), (1000, 0.001)]),
        (
            "{zip: {data.dim: [100, 200], optimizer.lr: [{formula: 1 / dim}, {formula: 2 / dim}]}}",
            {},
            [(100, 0.01), (200, 0.01)],
        ),
        (
            "{data: [{n_samples: [2, 4], dim: {formula: 50 * n_samples}, signal_norm: 1}]}",
            {},
            [(100, 0.01), (200, 0.01)],
        ),
        ("{data.dim: [100, 200]}", {"optimizer.lr": formula("1 / dim")}, [(100, 0.01), (200, 0.005)]),
        (
            "{data.n_samples: [2, 4]}",
            {"data.dim": formula("50 * n_samples"), "optimizer.lr": formula("1 / dim")},
            [(100, 0.01), (200, 0.005)],
        ),
        (
            "{data.snr: [1, 2]}",
            {"data.signal_norm": None, "optimizer.lr": formula("signal_norm / sqrt(dim)")},
            [(1000, 1.0), (1000, 2.0)],
        ),
        ("{train.batch_size: [full, 5]}", {"optimizer.lr": formula("batch_size / 100")}, [(1000, 0.2), (1000, 0.05)]),
    ],
)
def test_every_way_to_sweep(load: Load, sweep: str, set: Any, expected: list[tuple[int, float]]) -> None:
    runs = load(f"sweep: {sweep}", set=set).runs()
    assert [(run.data.dim, pytest.approx(run.optimizer.base.lr)) for run in runs] == [
        (dim, pytest.approx(lr)) for dim, lr in expected
    ]


def test_it_is_inherited_and_replaced(write: Callable[..., Path], load: Load) -> None:
    load(set={"optimizer.lr": 1})
    write("extends: x.yaml\noptimizer: {lr: {formula: 7 / dim}}", "y.yaml")
    write("extends: y.yaml\ndata: {dim: 700}", "z.yaml")
    write("extends: z.yaml\noptimizer: {lr: 0.5}", "last.yaml")
    assert [load_config(name).base_run().optimizer.base.lr for name in ("y.yaml", "z.yaml", "last.yaml")] == [
        0.007,
        0.01,
        0.5,
    ]


def test_it_round_trips_and_is_stored_as_written(load: Load, write: Callable[..., Path]) -> None:
    config = load("sweep: {data.dim: [100, 200], seed: [0]}", set=['optimizer.lr={formula: "1 / dim"}'])
    again = load_config(write(yaml.safe_dump({**config.base, "sweep": config.sweep})))
    assert [run.run_id for run in again.runs()] == [run.run_id for run in config.runs()]
    assert json.loads(config.to_json())["optimizer"]["lr"] == formula("1 / dim")
    fl.sweep(config, "store", n_jobs=1, device="cpu", progress=False)
    rows = fl.summary("store")
    assert dict(zip(rows["data.dim"], rows["optimizer.lr"], strict=True)) == {100: 0.01, 200: 0.005}
    written = {"data.dim": [100, 200], "optimizer.lr": [0.01, 0.005]}
    numbers = load(set={"sweep": {"zip": written, "seed": [0]}})
    assert fl.sweep(numbers, "store", n_jobs=1, device="cpu", progress=False).reused == 2


def test_expand_shows_the_numbers(write: Callable[..., Path], load: Load) -> None:
    load("sweep: {data.dim: [100, 200]}", set={})
    call = ["validate", "x.yaml", "--expand", "--set", 'optimizer.lr={formula: "1 / dim"}']
    lines = CliRunner().invoke(app, call).output.splitlines()
    assert [line.split() for line in lines if line.split()[:1] == ["optimizer.lr"]] == [
        ["optimizer.lr", "0.01", "0.005"]
    ]


@pytest.mark.parametrize(
    ("set", "messages"),
    [
        (
            {"optimizer.lr": formula("2 * dmi")},
            ["optimizer.lr: no number of the run is called dmi; did you mean dim? there are n_samples, dim, n_patches"],
        ),
        (
            {"optimizer.lr": formula("rho"), "optimizer.rho": formula("lr")},
            [
                'optimizer.lr: a cycle: optimizer.lr -> optimizer.rho -> optimizer.lr (formula: "rho")',
                'optimizer.rho: a cycle: optimizer.rho -> optimizer.lr -> optimizer.rho (formula: "lr")',
            ],
        ),
        ({"optimizer.lr": formula("lr")}, ["optimizer.lr: a cycle: optimizer.lr -> optimizer.lr"]),
        (
            {"data.signal_norm": None, "data.snr": formula("signal_norm")},
            ['data.snr: data.signal_norm depends on itself here (formula: "signal_norm")'],
        ),
        ({"optimizer.lr": formula("1 / (dim - 1000)")}, ["optimizer.lr: division by zero in 1 / (dim - 1000) at dim"]),
        ({"optimizer.lr": formula("exp(dim)")}, ["optimizer.lr: exp(dim) is too large at dim = 1000"]),
        (
            {"optimizer.lr": formula("(-dim) ** 0.5")},
            ["optimizer.lr: (-dim) ** 0.5 is not a real number at dim = 1000"],
        ),
        (
            {"train.n_steps": formula("dim / 80")},
            ['train.n_steps: expected an integer >= 1, found 12.5 (formula: "dim'],
        ),
        ({"optimizer.lr": formula("-rho")}, ['optimizer.lr: expected a number > 0, found -0.03 (formula: "-rho")']),
        (
            {"optimizer.stop": formula("2 * n_steps")},
            ["optimizer.stop: expected an integer <= train.n_steps = 100, or"],
        ),
        ({"network.activation": formula("2")}, ["network.activation: expected one of relu"]),
        ({"optimizer.lr": formula("seed")}, ["optimizer.lr: no number of the run is called seed; there are n_samples"]),
        ({"optimizer.lr": formula("stop")}, ["optimizer.lr: optimizer.stop is null here, not a number"]),
        ({"optimizer.lr": formula("activation")}, ['optimizer.lr: network.activation is "relu" here, not a number']),
        ({"optimizer.lr": formula("import os")}, ["optimizer.lr: not an expression"]),
        ({"optimizer.lr": {"formula": 3}}, ["optimizer.lr: expected text such as 1.6 * sqrt(1000 / dim), found 3"]),
        ({"optimizer.lr": {"formula": "1", "theory": 1}}, ["optimizer.lr: expected a number > 0, found {"]),
        ({"seed": formula("dim")}, ["seed: expected an integer >= 0, found {"]),
    ],
)
def test_a_formula_without_a_value_is_refused_in_one_sentence(
    problems: Problems, set: Any, messages: list[str]
) -> None:
    found = problems(set=set)
    assert len(found) == len(messages)
    for line, message in zip(found, messages, strict=True):
        assert line.startswith(f"--set: {message}")


def test_a_place_is_named_and_a_sweep_says_it_once(problems: Problems) -> None:
    text = "sweep:\n  data.dim: [800, 900, 1000, 1100]\n  train.n_steps:\n    - 50\n    - {formula: dim / 80}\n"
    assert problems(text) == [
        'x.yaml:10: sweep.train.n_steps[1]: expected an integer >= 1, found 11.25 (formula: "dim / 80")'
    ]


def test_each_combination_of_the_numbers_used_is_computed_once(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    compute = Expression.value
    monkeypatch.setattr(Expression, "value", lambda self, numbers: calls.append(numbers) or compute(self, numbers))
    others = "data.signal_norm: [1, 2, 3, 4], optimizer.rho: [0.1, 0.2], seed: {range: [0, 50]}"
    sweep = f"sweep: {{data.dim: [100, 200, 300], {others}}}"
    config = load(sweep, set={"train.n_steps": formula("dim")})
    assert len(list(config.runs())) == 1200
    assert calls == [{"dim": dim} for dim in (1000, 100, 200, 300)]  # the base first


OWN = """
from dataclasses import dataclass
from featlearn.optim import SGD

@dataclass(frozen=True, kw_only=True)
class Mine(SGD):
    \"\"\"Mine.

    dim: a number with the name of another.
    tilt: a number.
    \"\"\"

    dim: float = 2.0
    tilt: float = 1.0
"""


def test_numbers_of_a_users_class(load: Load, problems: Problems, write: Callable[..., Path]) -> None:
    write(OWN, "mine.py")
    rule = {"name": "mine.py:Mine", "lr": formula("3 * tilt"), "tilt": formula("optimizer.dim / data.dim")}
    run = load(set={"optimizer": rule}).base_run()
    assert run.optimizer.lr == pytest.approx(0.006)
    (line,) = problems(set={"optimizer": {**rule, "tilt": formula("dim")}})[:1]
    assert "dim is ambiguous: write data.dim or optimizer.dim" in line
