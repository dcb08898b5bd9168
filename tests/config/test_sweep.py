"""Whole configs: run ids, provenance, speed, imports, the committed configs, and arbitrary input."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers import OF_DNSAM
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from featlearn.config import ConfigError, SweepConfig, load_config
from featlearn.config.sections import known_keys

Load = Callable[..., SweepConfig]
Write = Callable[..., Path]
ROOT = Path(__file__).parents[2]


class TestRunId:
    def base(self, load: Load, *changes: str) -> str:
        return load(set=changes).base_run().run_id

    def test_it_does_not_depend_on_the_order_of_keys(self, load: Load) -> None:
        text = """
train: {n_steps: 100}
optimizer: {rho: 0.03, lr: 0.01, name: sam}
network: {init_std: 0.001, n_filters: 10}
data: {signal_norm: 5.0, dim: 1000, n_samples: 20}
"""
        assert load(base=text).base_run().run_id == self.base(load)

    @pytest.mark.parametrize(
        "same",
        [
            "name=other",
            "engine=gram",
            "sampling=gram",
            "dtype=float64",
            "seed=0",
            "data.signal_norm=5",
            "data.model=signal_noise",
            "data.flip_prob=-0.0",
            "train.batch_size=20",
            "optimizer.base=sgd",
            "optimizer.momentum=0",
            "record.every={log: 50}",
            "record.trackers=[{name: loss}, decomposition, {name: test_error, n_points: 64}]",
        ],
    )
    def test_it_is_the_same_where_the_run_is_the_same(self, load: Load, same: str) -> None:
        assert self.base(load, same) == self.base(load)

    def test_a_theory_scale_and_its_value_are_the_same_run(self, load: Load) -> None:
        scaled = load(set=["optimizer.rho={theory: 1}"]).base_run()
        assert scaled.run_id == self.base(load, f"optimizer.rho={scaled.optimizer.rho!r}")

    def test_it_differs_wherever_anything_differs(self, load: Load) -> None:
        changes = [
            "seed=1",
            "engine=weights",
            "sampling=vectors",
            "dtype=float32",
            "data.n_samples=21",
            "data.dim=1001",
            "data.n_patches=3",
            "data.signal_norm=5.000000000000001",
            "data.noise_std=1.1",
            "data.flip_prob=0.1",
            "data.noise=independent",
            "data.orthogonal_noise=true",
            "network.n_filters=11",
            "network.activation=relu2",
            "network.init=uniform",
            "network.init_std=0.002",
            "network.patches=mean",
            "network.filters=sum",
            "network.bias=true",
            "optimizer.rho=0.04",
            "optimizer.lr=0.02",
            "optimizer.momentum=0.1",
            "optimizer.weight_decay=0.1",
            "optimizer.start=1",
            "optimizer.stop=2",
            "optimizer={name: sgd, lr: 0.01}",
            "train.n_steps=101",
            "train.batch_size=10",
            "train.stop_at_train_loss=0.1",
            "record.every=10",
            "record.trackers=[loss]",
            "record.trackers=[loss, decomposition, {name: test_error, n_points: 128}]",
        ]
        ids = [self.base(load, change) for change in ["seed=0", *changes]]
        assert len(set(ids)) == len(ids)

    def test_it_is_the_same_in_another_process_and_after_pickling(self, load: Load, write: Write) -> None:
        run = load().base_run()
        code = "from featlearn.config import load_config; print(load_config('x.yaml').base_run().run_id)"
        out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert out.stdout.strip() == run.run_id == pickle.loads(pickle.dumps(run)).run_id

    def test_all_runs_of_a_sweep_have_different_ids(self, load: Load) -> None:
        sweep = (
            "{data.dim: {range: [50, 60]}, optimizer: [{name: sgd, lr: 1}, {name: sam, lr: 1, rho: 0}], seed: [0, 1]}"
        )
        runs = list(load(f"sweep: {sweep}").runs())
        assert len({run.run_id for run in runs}) == len(runs) == 40


class TestSweepConfig:
    def test_json_contains_the_written_and_set_values(self, load: Load) -> None:
        config = load("name: this\nsweep: {data.dim: {range: [50, 60]}}", set=["seed=3", "optimizer.rho={theory: 2}"])
        held = json.loads(config.to_json())
        assert held["optimizer"] == {"name": "sam", "lr": 0.01, "rho": {"theory": 2}}
        assert (held["name"], held["path"], held["seed"]) == ("this", "x.yaml", 3)
        assert held["sweep"] == {"data.dim": {"range": [50, 60]}}

    def test_json_makes_the_same_runs_again(self, load: Load, write: Write) -> None:
        config = load("sweep: {data.dim: {range: [50, 55]}, seed: [1, 2]}")
        held = json.loads(config.to_json())
        held.pop("path")
        again = load_config(write(json.dumps(held), "y.yaml"))
        assert list(again.runs()) == list(config.runs())

    def test_runs_can_be_had_twice(self, load: Load) -> None:
        config = load("sweep: {seed: [1, 2]}")
        assert list(config.runs()) == list(config.runs())

    def test_its_repr_is_short_and_it_is_frozen(self, load: Load) -> None:
        config: Any = load("sweep: {seed: {range: [0, 1000]}}")
        assert len(repr(config)) < 200
        with pytest.raises(AttributeError):
            config.name = "other"


@pytest.mark.filterwarnings(OF_DNSAM)
@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_configs_of_the_package_are_sound(path: Path) -> None:
    config = load_config(path)
    assert config.name == path.stem
    assert config.base_run().run_id


def test_neither_torch_nor_pandas_is_imported() -> None:
    config = ROOT / "configs" / "quickstart.yaml"
    code = (
        "import sys; from featlearn.config import load_config, schema, describe; schema();"
        "[describe(kind) for kind in ('data', 'models', 'optimizers', 'trackers', 'engines')];"
        f"run = next(load_config({str(config)!r}).runs()); run.run_id;"
        "print([name for name in ('torch', 'pandas', 'scipy', 'matplotlib') if name in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


KEYS = st.sampled_from([*known_keys(), "sweep", "extends", "nonsense", "data.nonsense"])
SCALARS: Any = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4)
WORDS: Any = st.sampled_from(["sgd", "sam", "gram", "weights", "full", "loss", "test_error", "softplus", "independent"])
DEEP: Any = st.recursive(
    SCALARS | WORDS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["theory", "log", "name", "lr", "linspace", "range", "zip"]), inner, max_size=2
        )
        | st.dictionaries(KEYS, inner, max_size=2)
    ),
    max_leaves=8,
)
QUIET = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@QUIET
@given(changes=st.dictionaries(KEYS, DEEP, max_size=4))
def test_any_change_gives_runs_or_an_error(load: Load, changes: dict[str, Any]) -> None:
    changes.pop("extends", None)
    try:
        config = load("sweep: {data.dim: [50, 60], optimizer: [{name: sgd, lr: 1}]}", set=changes)
    except ConfigError as error:
        assert error.problems
        assert all(problem.message and problem.place for problem in error.problems)
    else:
        assert config.base_run().run_id
        assert next(config.runs()).columns()


@QUIET
@given(sweep=st.dictionaries(KEYS | st.just("zip"), DEEP, max_size=3))
def test_any_sweep_gives_runs_or_an_error(load: Load, sweep: dict[str, Any]) -> None:
    try:
        config = load(set={"sweep": sweep})
    except ConfigError as error:
        assert all(str(problem).startswith(("--set: ", "x.yaml:")) for problem in error.problems)
    else:
        assert next(config.runs()).run_id


@QUIET
@given(
    tree=st.dictionaries(st.sampled_from(["data", "network", "optimizer", "train", "record", "sweep", "seed"]), DEEP)
)
def test_any_file_gives_runs_or_an_error(write: Write, tree: dict[str, Any]) -> None:
    try:
        load_config(write(yaml.safe_dump(tree, sort_keys=False)))
    except ConfigError as error:
        assert all(str(problem).startswith("x.yaml") for problem in error.problems)
