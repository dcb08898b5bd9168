import pytest
from explore.conftest import SMALL

from featlearn.config import ConfigError
from featlearn.explore import computing
from featlearn.explore.query import read


def test_the_parts_of_a_phase_diagram_are_its_runs_each_once():
    config = read([("seeds", "2")], SMALL).panels()[1]
    parts = [computing.phase(config, part, 3) for part in range(3)]
    assert sorted(place for part in parts for place in part["places"]) == [*range(12 * 12 * 2)]
    shape = computing.shape(config)["axes"]
    assert [*shape] == ["data.signal_norm", "data.dim"] and shape["data.dim"][0] == 100


def test_a_run_that_diverges_has_no_value():
    query = [("optimizer.lr", "1"), ("network.activation", "cubic"), ("network.loss", "square")]
    setting = read([*query, ("x", "train.n_steps"), ("y", "optimizer.rho"), ("seeds", "1")], SMALL)
    rows = computing.phase(setting.panels()[0], 0, 1)["rows"]
    assert any(all(value is None for value in row.values()) for row in rows)


def test_warnings_of_a_config_are_told():
    setting = read([("optimizer.name", "f_sam")], SMALL)
    assert "full batch" in computing.dynamics(setting.single_rules(setting.dynamics())[1])["notes"][0]


def test_a_bad_config_is_refused():
    with pytest.raises(ConfigError, match="expected an integer"):
        computing.dynamics(read([("data.dim", "0")], SMALL).dynamics())
