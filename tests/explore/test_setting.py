from explore.conftest import SMALL

from featlearn.config import load_config
from featlearn.config.source import read_yaml
from featlearn.explore.query import read
from featlearn.explore.setting import as_yaml


def test_sgd_has_what_it_shares_with_the_rule():
    sgd, sam = read([("optimizer.momentum", "0.9")], SMALL).rules
    assert sgd == {"name": "sgd", "lr": 0.1, "momentum": 0.9} and sam["rho"] == 0.05


def test_the_yaml_is_a_config_with_the_same_runs():
    setting = read([("x", "optimizer.rho"), ("seeds", "2")], SMALL)
    text = as_yaml(setting.phase(), "phase")
    loaded = load_config(read_yaml(text, "phase.yaml").plain)
    panels = [run.run_id for panel in setting.panels() for run in load_config(panel).runs()]
    assert sorted(run.run_id for run in loaded.runs()) == sorted(panels)
    assert text.startswith("# phase\nname: small\ndata: {model: signal_noise")
