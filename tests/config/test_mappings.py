"""A config given in Python equals that of a file with the same content."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from helpers import OF_DNSAM

from featlearn.config import ConfigError, SweepConfig, load_config

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))
BASE: dict[str, Any] = {
    "data": {"n_samples": 20, "dim": 1000, "signal_norm": 5.0},
    "network": {"n_filters": 10},
    "optimizer": {"name": "sam", "lr": 0.01, "rho": 0.03},
    "train": {"n_steps": 100},
}


def ids(config: SweepConfig) -> list[str]:
    return [run.run_id for _, run in zip(range(20), config.runs(), strict=False)]


@pytest.mark.filterwarnings(OF_DNSAM)
@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_the_content_of_a_file_gives_its_runs(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that extends a file, relative to the working folder."""
    monkeypatch.chdir(path.parent)
    file = load_config(path)
    content = {**file.base, "sweep": file.sweep}
    given = load_config(content)
    assert (given.name, given.n_runs, ids(given)) == (file.name, file.n_runs, ids(file))
    if "extends" in (written := yaml.safe_load(path.read_text())):
        assert ids(load_config(written)) == ids(file)


@pytest.mark.parametrize("seeds", [range(3), (0, 1, 2), np.arange(3), pd.Series([0, 1, 2]), [np.int64(0), 1, 2]])
def test_numbers_and_lists_of_all_kinds(seeds: Any) -> None:
    config = load_config({**BASE, "sweep": {"seed": seeds}, "seed": np.int32(4), "dtype": np.str_("float64")})
    assert [run.seed for run in config.runs()] == [0, 1, 2] and config.base_run().seed == 4
    lr = load_config({**BASE, "sweep": {"optimizer.lr": np.geomspace(0.01, 1, 3)}})
    assert [run.optimizer.base.lr for run in lr.runs()] == np.geomspace(0.01, 1, 3).tolist()
    assert lr.to_json() == load_config(yaml.safe_load(lr.to_json().replace(', "path": ""', ""))).to_json()


def test_it_extends_files_is_changed_by_set_and_has_a_name(write: Callable[..., Path]) -> None:
    write(name="parent.yaml")
    config = load_config({"extends": Path("parent.yaml"), "seed": 3}, set={"data.dim": 50})
    assert (config.base_run().seed, config.base_run().data.dim, config.name, config.path) == (3, 50, "unnamed", "")
    assert load_config({**BASE, "name": "mine"}, set=["seed=2"]).name == "mine"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({**BASE, "train": {"n_stpes": 3}}, "train.n_stpes: unknown key; did you mean 'n_steps'?"),
        ({**BASE, "data": {"dim": "1e3", "signal_norm": 1}}, "data.dim: expected an integer >= 2 and <= 10"),
        ({**BASE, "seed": object}, "seed: expected an integer >= 0, found \"<class 'object'>\""),
        ({**BASE, "sweep": {"data.dmi": [1]}}, "sweep.data.dmi: no such key; did you mean 'data.dim'?"),
        ({**BASE, 7: 1}, "7: unknown key; known here"),
        ({**BASE, "extends": "absent.yaml"}, "extends: no such file: absent.yaml"),
        ({**BASE, "data": [1]}, "data: expected a mapping of keys, found [1]"),
        ({}, "optimizer.name: missing"),
    ],
)
def test_an_error_is_reported_with_its_key(content: dict[Any, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(content)
    assert str(caught.value).startswith(message)


def test_a_mapping_in_itself_is_refused() -> None:
    circle: dict[str, Any] = {}
    circle["data"] = circle
    with pytest.raises(ConfigError, match="nested too deeply"):
        load_config(circle)


@pytest.mark.parametrize("what", [None, 5, ["a.yaml"]])
def test_only_a_path_or_a_mapping_is_accepted(what: Any) -> None:
    with pytest.raises(TypeError, match="expected the path of a YAML file, or its content as a mapping; found"):
        load_config(what)
