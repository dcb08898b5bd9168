import warnings

import pytest
from explore.conftest import SMALL

from featlearn.config import ConfigError, load_config
from featlearn.explore.controls import choices
from featlearn.explore.query import read


def run(query, start=SMALL):
    return load_config(read(query, start).dynamics()).base_run()


def test_a_query_changes_the_start_and_keeps_the_rest():
    found = run([("data.dim", "1000000000000")])
    assert (found.data.dim, found.data.n_samples, found.optimizer.rho) == (10**12, 4, 0.05)


@pytest.mark.parametrize("word", choices("optimizer"))
def test_every_rule_can_be_chosen_by_its_name_alone(word):
    setting = read([("optimizer.name", word), ("data.dim", "100")], SMALL)
    with warnings.catch_warnings(action="ignore"):  # of rules on the full batch
        load_config(setting.dynamics())
    assert [rule["name"] for rule in setting.rules] == (["sgd"] if word == "sgd" else ["sgd", word])
    assert all(rule["lr"] == 0.1 for rule in setting.rules)


@pytest.mark.parametrize("word", choices("data"))
def test_every_data_model_can_be_chosen_by_its_name_alone(word):
    """What it refuses of the start's numbers, two patches where it needs three, takes its own default."""
    start = {**SMALL, "data": {**SMALL["data"], "n_patches": 2}}
    loss = [("network.loss", "softmax")] if word == "multi_view" else []  # of classes: said where it is missing
    found = run([("data.model", word), *loss], start)
    assert (found.data.n_samples, found.data.dim) == (4, 200)


def test_a_number_that_is_asked_for_is_refused_not_replaced():
    with pytest.raises(ConfigError, match="n_patches"):
        run([("data.model", "spurious"), ("data.n_patches", "2")])


def test_of_signal_norm_and_snr_the_one_that_is_given_counts():
    assert run([("data.snr", "0.5")]).data.signal_norm is None
    assert run([("data.model", "xor")]).data.signal_norm == 3.0
    panel = read([("data.snr", "0.5")], SMALL).panels()[0]
    assert panel["data"]["snr"] is None and "data.signal_norm" in panel["sweep"]


@pytest.mark.parametrize(
    ("key", "ends"), [("train.batch_size", (1, 4)), ("optimizer.start", (0, 6)), ("optimizer.stop", (3, 9))]
)
def test_an_axis_ends_where_the_other_numbers_end(key, ends):
    own = {"optimizer.start": [("optimizer.stop", "7")], "optimizer.stop": [("optimizer.start", "2")]}.get(key, [])
    y = read([("y", key), ("train.n_steps", "9"), *own], SMALL).y
    assert (y.low, y.high) == ends


def test_signal_norm_and_snr_are_no_two_axes():
    with pytest.raises(ConfigError, match="follow from each other"):
        read([("y", "data.snr")], SMALL)
    assert read([("x", "data.dim"), ("y", "data.snr")], SMALL).y.key == "data.snr"


def test_a_config_of_the_command_line_may_exceed_a_limit_and_name_its_own_class():
    start = {**SMALL, "train": {"n_steps": 5000}, "data": {**SMALL["data"], "model": "own.py:Model"}}
    with pytest.raises(ConfigError, match="at most 5000"):
        read([("train.n_steps", "5001")], start)
    found = read([("data.model", "own.py:Model")], start)
    assert found.sections["data"]["model"] == "own.py:Model"
    assert (found.x.key, found.y.key) == ("network.n_filters", "network.init_std")
