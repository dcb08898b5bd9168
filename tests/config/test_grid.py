"""Every combination of a sweep is checked, and each section is read once."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from featlearn.config import ConfigError, ConfigWarning, SweepConfig, grid
from featlearn.config.sections import SECTIONS, Section

Load = Callable[..., SweepConfig]


def test_a_hundred_thousand_runs_are_checked_by_reading_each_section_once(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: Counter[Section] = Counter()
    whole = grid.read_section
    monkeypatch.setattr(grid, "read_section", lambda section, node: read.update([section]) or whole(section, node))
    sweep = "{data.signal_norm: {linspace: [0, 9.9, 100]}, data.dim: {range: [100, 1100, 10]}, seed: {range: [0, 10]}}"
    assert load(f"sweep: {sweep}").n_runs == 100_000
    combinations = {"data": 100 * 100 + 1}  # and the base, with no axis applied; seeds alone need no reading
    assert {name: read[section] for name, section in SECTIONS.items()} == {**dict.fromkeys(SECTIONS, 1), **combinations}


def test_optimizers_that_would_see_other_data_are_warned_of(load: Load) -> None:
    sweep = {"sweep.optimizer": [{"name": "sgd", "lr": 0.1}, {"name": "adam", "lr": 0.1}]}
    with pytest.warns(ConfigWarning, match=r"sampling gram: sgd in the engine gram; .*: adam .* engine: weights gives"):
        load(set=sweep)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(set=sweep | {"engine": "weights"})
        load(set={"sweep.optimizer": [{"name": "sgd", "lr": 0.1}, {"name": "sam", "lr": 0.1, "rho": 0.1}]})


@pytest.mark.parametrize("axes", ["seed: [7, 3], optimizer.rho: [0.1, 0.2]", "optimizer.rho: [0.1, 0.2], seed: [7, 3]"])
def test_runs_of_other_seeds_are_those_read_one_by_one(load: Load, axes: str) -> None:
    """A zip reads every seed as a key of the head."""
    zipped = axes.replace("seed: [7, 3]", "zip: {seed: [7, 3]}")
    together, single = (list(load(f"sweep: {{{given}}}").runs()) for given in (axes, f"{zipped}, dtype: [float64]"))
    assert together == single and [run.run_id for run in together] == [run.run_id for run in single]
    assert {run.seed for run in together} == {3, 7} and len({id(run.setting) for run in together}) == 2
    assert {run.run_id for run in together} == {replace(run).run_id for run in together}


def test_a_seed_that_is_none_is_reported(load: Load) -> None:
    with pytest.raises(ConfigError, match=r"sweep.seed\[1\]: expected an integer >= 0, found -1"):
        load("sweep: {seed: [0, -1, 2]}")
