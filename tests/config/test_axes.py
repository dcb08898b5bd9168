"""The axes of a sweep: their values, their order, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featlearn.config import SweepConfig
from featlearn.config.axes import read_axes
from featlearn.config.problems import Problem
from featlearn.config.source import read_yaml
from featlearn.optim import SAM, SGD, USAM

Load = Callable[..., SweepConfig]
Problems = Callable[..., list[str]]


def values(text: str) -> list[Any]:
    """The values of the only key of the only axis."""
    problems: list[Problem] = []
    (axis,) = read_axes(read_yaml(text, "x.yaml", "sweep"), problems)
    assert not [problem for problem in problems if not problem.caution]
    return [value for (value,) in axis.values]


class TestSpacings:
    def test_a_list_is_taken_as_it_is(self) -> None:
        assert values("data.dim: [3, 1, 2]") == [3, 1, 2]
        assert values("optimizer.rho: [0.1, {theory: 1}]") == [0.1, {"theory": 1}]

    def test_linspace_and_geomspace_are_numpys_but_for_its_rounding(self) -> None:
        assert values("data.signal_norm: {linspace: [0, 9.9, 100]}") == [tenths / 10 for tenths in range(100)]
        assert values("optimizer.lr: {geomspace: [1e-3, 1, 7]}") == np.geomspace(1e-3, 1, 7).tolist()
        assert values("optimizer.rho.theory: {geomspace: [4, 1, 3]}") == [4, 2, 1]
        assert values("data.signal_norm: {linspace: [3, 5, 1]}") == [3]

    def test_of_integers_they_are_rounded_and_equal_ones_count_once(self) -> None:
        assert values("data.dim: {geomspace: [10, 1000, 5]}") == [10, 32, 100, 316, 1000]
        assert values("data.dim: {linspace: [1, 3, 5]}") == [1, 2, 3]
        assert {type(value) for value in values("train.batch_size: {linspace: [1, 9, 3]}")} == {int}

    @given(st.integers(-50, 50), st.integers(-50, 50), st.integers(-9, 9).filter(bool))
    def test_range_is_pythons(self, start: int, stop: int, step: int) -> None:
        expected = list(range(start, stop, step))
        if expected:
            assert values(f"seed: {{range: [{start}, {stop}, {step}]}}") == expected

    def test_range_without_step_and_without_start(self) -> None:
        assert values("seed: {range: [2, 5]}") == [2, 3, 4]
        assert values("seed: {range: [3]}") == [0, 1, 2]


SPACED = "expected a list of values, {linspace: ...}, {geomspace: ...}, {range: ...}, found "


@pytest.mark.parametrize(
    ("sweep", "message"),
    [
        ("{data.dmi: [1]}", "x.yaml:6: sweep.data.dmi: no such key; did you mean 'data.dim'?"),
        ("{dim: [1]}", "x.yaml:6: sweep.dim: no such key; did you mean 'data.dim'?"),
        ("{optimiser: [1]}", "x.yaml:6: sweep.optimiser: no such key; did you mean 'optimizer'?"),
        ("{name: [a, b]}", "x.yaml:6: sweep.name: cannot be swept: it does not affect a run"),
        ("{seed: []}", "x.yaml:6: sweep.seed: " + SPACED + "[]"),
        ("{seed: 3}", "x.yaml:6: sweep.seed: " + SPACED + "3"),
        ("{seed: {}}", "x.yaml:6: sweep.seed: " + SPACED + "{}"),
        ("{seed: {rnge: [1, 2]}}", "x.yaml:6: sweep.seed: " + SPACED + '{"rnge": [1, 2]}'),
        ("{seed: {range: [1, 2], linspace: [1, 2, 3]}}", "x.yaml:6: sweep.seed: " + SPACED),
        ("{seed: {range: [3, 3]}}", "x.yaml:6: sweep.seed: has no values: range: [3, 3]"),
        ("{seed: {range: [1, 9, 0]}}", "x.yaml:6: sweep.seed: range() arg 3 must not be zero"),
        ("{seed: {range: [1.0, 3]}}", "sweep.seed: expected range: [start, stop, step], integers, found [1.0, 3]"),
        ("{seed: {range: 3}}", "sweep.seed: expected range: [start, stop, step], integers, found 3"),
        ("{seed: {range: [0, 1000000000000000000000]}}", "sweep.seed: more than 1000000 values"),
        ("{data.snr: {linspace: [0, 1]}}", "expected linspace: [first, last, how many], found [0, 1]"),
        ("{data.snr: {linspace: [0, 1, 0]}}", "expected linspace: [first, last, how many], found [0, 1, 0]"),
        ("{data.snr: {linspace: [0, .inf, 3]}}", "expected linspace: [first, last, how many], found [0, Infinity, 3]"),
        ("{data.dim: {geomspace: [0, 9, 3]}}", "expected geomspace: [first > 0, last > 0, how many], found [0, 9, 3]"),
        ("{data.dim: {geomspace: [-1, -9, 3]}}", "expected geomspace: [first > 0, last > 0, how many]"),
        ("{data.dim: {geomspace: [1, 9, 10000000]}}", "expected geomspace: [first > 0, last > 0, how many]"),
        ("{data.dim: {linspace: [-1e308, 50, 2]}}", "sweep.data.dim[0]: expected an integer >= 2"),
        ("{seed: [1, 2, 1]}", "x.yaml:6: sweep.seed[2]: equal to sweep.seed[0]"),
        ("{data.noise_std: [1, 1.0]}", "x.yaml:6: sweep.data.noise_std[1]: equal to sweep.data.noise_std[0]"),
        ("{optimizer.lr: {linspace: [1, 1, 2]}}", "sweep.optimizer.lr[1]: equal to sweep.optimizer.lr[0]"),
        ("{seed: [1], zip: {seed: [2]}}", "x.yaml:6: sweep.zip.seed: swept twice: seed at x.yaml:6 already"),
        ("{optimizer.rho: [1], optimizer.rho.theory: [2]}", "swept twice: optimizer.rho at x.yaml:6 already"),
        (
            "{zip: {data.dim: [1, 2], seed: [1, 2, 3]}}",
            'x.yaml:6: sweep.zip.data.dim: keys of one zip need equally many values, found {"data.dim": 2, "seed": 3}',
        ),
        ("{zip: 3}", "x.yaml:6: sweep.zip: expected a mapping of keys to axes, found 3"),
        ("{zip: [{seed: [1]}, 3]}", "x.yaml:6: sweep.zip[1]: expected a mapping of keys to axes, found 3"),
        ("[seed]", 'x.yaml:6: sweep: expected a mapping of keys to axes, found ["seed"]'),
        # values
        (
            "{data.dim: [50, 1]}",
            "x.yaml:6: sweep.data.dim[1]: expected an integer >= 2 and <= 1000000000000000, found 1",
        ),
        ("{data.dim: {range: [0, 90, 30]}}", "x.yaml:6: sweep.data.dim[0]: expected an integer >= 2"),
        ("{data.snr: [1]}", "data.snr"),
        (
            "{optimizer: [{name: sgd, lr: 1}, {name: sgd}]}",
            "x.yaml:6: sweep.optimizer[1].lr: missing: expected a number > 0",
        ),
        ("{optimizer: [{name: sgd, lr: 0}]}", "x.yaml:6: sweep.optimizer[0].lr: expected a number > 0, found 0"),
        ("{seed: [1, -1]}", "x.yaml:6: sweep.seed[1]: expected an integer >= 0, found -1"),
        ("{seed: {range: [0, 1000]}, data.dim: {range: [100, 2000]}}", "x.yaml:6: sweep: 1900000 runs are too many"),
    ],
)
def test_one_error_is_one_line(problems: Problems, sweep: str, message: str) -> None:
    (line,) = problems(f"sweep: {sweep}")
    assert message in line


def test_every_bad_value_is_named(problems: Problems) -> None:
    lines = problems("sweep: {data.dim: [50, 1, 60, x], seed: [-1, 1], optimizer.lr: [0.1, -1]}")
    bad = ["sweep.data.dim[1]", "sweep.data.dim[3]", "sweep.optimizer.lr[1]", "sweep.seed[0]"]
    assert sorted(line.split(": ")[1] for line in lines) == bad


def test_a_bad_axis_brings_no_other_complaint(problems: Problems) -> None:
    without_signal = "data: {n_samples: 20}\noptimizer: {name: sgd, lr: 1}\ntrain: {n_steps: 5}\n"
    (line,) = problems("sweep: {data.signal_norm: [], network.bias: [true, false]}", base=without_signal)
    assert line.startswith("x.yaml:4: sweep.data.signal_norm: expected a list of values")


class TestExpansion:
    def test_the_last_axis_moves_fastest(self, load: Load) -> None:
        config = load("sweep: {data.dim: [50, 60], network.bias: [true, false], seed: {range: [0, 2]}}")
        found = [(run.data.dim, run.network.bias, run.seed) for run in config.runs()]
        assert found == [(d, b, s) for d in (50, 60) for b in (True, False) for s in (0, 1)]
        assert len(config) == config.n_runs == 8
        assert [axis.spacing for axis in config.axes] == ["list", "list", "range"]

    def test_zipped_keys_move_together(self, load: Load) -> None:
        config = load("sweep: {seed: [0, 1], zip: {data.n_samples: [5, 6], data.dim: {linspace: [50, 60, 2]}}}")
        found = [(run.seed, run.data.n_samples, run.data.dim) for run in config.runs()]
        assert found == [(0, 5, 50), (0, 6, 60), (1, 5, 50), (1, 6, 60)]

    def test_a_list_of_zips_makes_several_axes(self, load: Load) -> None:
        config = load(
            "sweep: {zip: [{data.n_samples: [5, 6], data.dim: [50, 60]}, {seed: [1, 2], optimizer.lr: [1, 2]}]}"
        )
        found = [(run.data.n_samples, run.data.dim, run.seed, run.optimizer.base.lr) for run in config.runs()]
        assert found == [(5, 50, 1, 1), (5, 50, 2, 2), (6, 60, 1, 1), (6, 60, 2, 2)]

    def test_whole_sections_are_replaced_and_keys_in_them_move_on_top(self, load: Load) -> None:
        sweep = "{optimizer.lr: [1, 2], optimizer: [{name: sgd, lr: 9}, {name: sgd, lr: 9, momentum: 0.5}]}"
        rules = [run.optimizer for run in load(f"sweep: {sweep}").runs()]
        assert rules == [SGD(lr=lr, momentum=momentum) for lr in (1.0, 2.0) for momentum in (0.0, 0.5)]

    def test_a_key_of_one_section_may_be_an_axis_of_its_own(self, load: Load) -> None:
        sam, usam = "{name: sam, lr: [1, 2], rho: {linspace: [0.1, 0.3, 2]}, stop: 5}", "{name: usam, lr: 1, rho: 0.2}"
        config = load(f"sweep: {{optimizer: [{{name: sgd, lr: 1}}, {sam}, {usam}]}}")
        rules = [run.optimizer for run in config.runs()]
        grown = [SAM(rho=rho, stop=5, base=SGD(lr=lr)) for lr in (1.0, 2.0) for rho in (0.1, 0.3)]
        assert rules == [SGD(lr=1.0), *grown, USAM(rho=0.2, base=SGD(lr=1.0))]
        config = load("sweep: {network: [{n_filters: [3, 4], activation: [relu, softplus]}, {n_filters: 5}]}")
        shapes = [(run.network.n_filters, run.network.activation) for run in config.runs()]
        assert shapes == [(3, "relu"), (3, "softplus"), (4, "relu"), (4, "softplus"), (5, "relu")]
        (rule,) = {
            run.optimizer.rho for run in load("sweep: {optimizer: [{name: sam, lr: 1, rho: [{theory: 1}]}]}").runs()
        }
        assert rule > 0

    def test_a_key_that_takes_a_list_is_no_axis(self, load: Load) -> None:
        base = "network: {model: quadratic, spectrum: [3, 1]}\noptimizer: {name: sgd, lr: 0.1}\ntrain: {n_steps: 5}\n"
        config = load("sweep: {network: [{model: quadratic, spectrum: [1, 2]}]}", base=base)
        assert [run.network.spectrum for run in config.runs()] == [(1.0, 2.0)]

    def test_an_error_in_a_value_of_a_section_names_the_value(self, problems: Problems) -> None:
        (line,) = problems("sweep: {optimizer: [{name: sam, lr: 1, rho: [0.1, -3]}]}")
        assert line.startswith("x.yaml:6: sweep.optimizer[0].rho[1]: expected a number >= 0") and line.endswith(
            "found -3"
        )
        (line,) = problems("sweep: {optimizer: [{name: sam, lr: 1, rho: {linspace: [0.1]}}]}")
        assert "sweep.optimizer[0].rho: expected linspace: [first, last, how many], found [0.1]" in line

    def test_a_list_outside_of_a_sweep_is_sent_there(self, problems: Problems) -> None:
        (line,) = problems(
            base="data: {dim: 9, signal_norm: 1}\noptimizer: {name: sgd, lr: [1, 2]}\ntrain: {n_steps: 5}\n"
        )
        assert line.endswith("optimizer.lr: expected a number > 0, found [1, 2]; several values belong under sweep")

    def test_theory_scales_can_be_swept(self, load: Load) -> None:
        config = load("sweep: {optimizer.rho.theory: {geomspace: [1, 4, 3]}}")
        runs = list(config.runs())
        assert [run.theory for run in runs] == [(("optimizer.rho", c),) for c in (1.0, 2.0, 4.0)]
        assert runs[1].optimizer.rho == pytest.approx(2 * runs[0].optimizer.rho, rel=1e-15)

    def test_without_axes_there_is_one_run(self, load: Load) -> None:
        for more in ("", "sweep: {}", "sweep: null", "sweep: {seed: null}", "sweep: {zip: {}}"):
            config = load(more)
            assert list(config.runs()) == [config.base_run()]

    def test_the_base_takes_the_first_value_of_what_only_the_sweep_gives(self, load: Load) -> None:
        text = "data: {dim: 300}\ntrain: {n_steps: 5}\n"
        sweep = "sweep: {data.snr: [0.2, 0.1], data.dim: [50], optimizer: [{name: sgd, lr: 1}], optimizer.lr: [3, 4]}"
        run = load(sweep, base=text).base_run()
        assert (run.data.snr, run.data.dim, run.optimizer) == (0.2, 300, SGD(lr=1.0))
