"""The runs of a figure: several values, several optimizers, another step than the last."""

import pandas as pd
import pytest
from typer.testing import CliRunner

import featlearn as fl
from featlearn.cli import app
from featlearn.plots import KINDS

CONFIG = """\
data: {n_samples: 4, dim: 50, signal_norm: 2.0}
network: {n_filters: 2, init_std: 0.05}
optimizer: {name: sgd, lr: 0.1}
train: {n_steps: 6}
record: {every: 2, trackers: [loss, decomposition]}
sweep:
  data.dim: [50, 60, 70]
  data.signal_norm: [1.0, 3.0]
  optimizer:
    - {name: sgd, lr: 0.1}
    - {name: sam, lr: 0.1, rho: {geomspace: [0.05, 0.25, 3]}}
    - {name: usam, lr: 0.1, rho: 0.05}
  seed: [0, 1]
"""
VALUE = "--value", "train_loss"


def call(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plotting")
    (folder / "x.yaml").write_text(CONFIG)
    assert call("sweep", folder / "x.yaml", "--out", folder / "s", "-q").exit_code == 0
    return folder / "s"


@pytest.fixture
def drawn(store, tmp_path):
    """Draw a figure; return its table."""

    def draw(kind, *words):
        result = call("plot", kind, store, "-o", tmp_path / "f.png", *words)
        assert result.exit_code == 0, result.output
        return pd.read_csv(tmp_path / "f.csv")

    return draw


def flags(shown):
    """Return the long options that a help lists."""
    return {word.rstrip(",") for word in shown.split() if word.startswith("--")}


def test_the_help_of_a_kind_shows_its_own_options():
    shown = {kind: flags(call("plot", kind, "--help").stdout) for kind in KINDS}
    shared = {"--out", "--where", "--title", "--size", "--no-caption", "--dpi", "--all-sweeps"}
    assert all(shared <= its for its in shown.values())
    assert {kind for kind, its in shown.items() if "--level" in its} == {"phase", "boundary"}
    assert {kind for kind, its in shown.items() if "--theory" in its or "--constant" in its} == {"phase"}
    assert {kind for kind, its in shown.items() if "--overlay" in its} == {"dynamics", "edge"}
    assert {kind for kind, its in shown.items() if {"--column", "--band", "--log"} & its} == {"dynamics", "compare"}


def test_the_help_of_plot_lists_the_kinds():
    lines = call("plot", "--help").stdout.splitlines()
    assert [line.split()[0] for line in lines[-len(KINDS) :]] == list(KINDS)
    assert not [line for line in lines if line.endswith("...")]


RHO = "--where", "optimizer.rho=0.111803"  # 0.05 sqrt(5)


@pytest.mark.parametrize(
    ("words", "dims"),
    [
        (("--where", "data.dim=50,70"), [50, 70]),
        (("--where", "data.dim=50", "--where", "data.dim=70"), [50, 70]),
        (("--where", "data.dim=50, 6e1", "--where", "data.dim=70"), [50, 60, 70]),
        ((), [50, 60, 70]),
    ],
)
def test_several_values_are_a_union(drawn, words, dims):
    table = drawn("phase", *VALUE, *RHO, *words)
    assert sorted(table["data.dim"].unique()) == dims and table["optimizer"].unique().tolist() == ["sam"]


def test_a_missing_value_is_null(drawn):
    assert drawn("phase", *VALUE, "--where", "optimizer.rho=null")["optimizer"].unique().tolist() == ["sgd"]
    both = drawn("phase", *VALUE, "--where", "optimizer.rho=null,0.05")
    assert both["optimizer"].unique().tolist() == ["sgd", "sam", "usam"]


def test_several_optimizers_are_a_union(drawn):
    words = "--optimizer", "sgd", "--optimizer", "sam rho=0.111803"
    assert drawn("phase", *VALUE, *words)["optimizer"].unique().tolist() == ["sgd", "sam rho=0.111803"]
    curves = drawn("curve", *VALUE, "-x", "data.signal_norm", "--where", "data.dim=60", *words)
    assert curves["optimizer"].unique().tolist() == ["sgd", "sam rho=0.111803"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("phase", "--where", "data.dim=50,55"), "no row has data.dim = 55; it takes 50, 60, 70"),
        (("phase", "--where", "optimizer.rho=0.1118"), "it takes null, 0.05, 0.111803, 0.25"),
        (("phase", "--where", "data.dim"), "--where expects KEY=VALUE, found 'data.dim'"),
        (("phase", "--where", "data.dim=[50"), "not YAML"),
        (("phase", "--where", "data.dim=050"), "leading zero"),
        (
            ("phase", *VALUE, "--optimizer", "sgd", "--optimizer", "smm"),
            "no optimizer 'smm'; there are sgd, sam rho=0.05",
        ),
        (("difference", "--optimizer", "sgd"), "error: difference has no option --optimizer; curve, phase, dynamics,"),
        (("dynamics", "--step", "2"), "has no option --step; curve, phase, difference and boundary have it\n"),
        (("edge", "--at-train-loss", "x"), "edge has no option --at-train-loss; curve, phase, difference and boundary"),
        (("phase", "--column", "a", "--column", "b"), "phase has no option --column; dynamics and compare have it\n"),
        (("curve", "--no-log"), "curve has no option --log/--no-log; dynamics and compare have it\n"),
        (("phase", "--step", "2", "--at-train-loss", ".5"), "give one of them"),
        (("phase", "--step", "3"), "step 3 was not recorded in 60 runs, which have records at 2 and 4"),
        (("phase", "--step", "9"), "which have records at 6"),
        (("phase", "--at-train-loss", "-1"), "a train loss level is positive"),
        (("phase", "--at-train-loss", "1e-9"), "no run reaches a train loss of 1e-09; the smallest that was recorded"),
    ],
)
def test_an_invalid_call_is_one_message(store, tmp_path, words, message):
    kind, *rest = words
    result = call("plot", kind, store, "-o", tmp_path / "f.png", *rest)
    assert result.exit_code == 2 and message in result.stderr and "Traceback" not in result.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["phase", "curve", "difference"])
def test_a_figure_of_a_recorded_step(drawn, store, kind):
    rows = fl.load(store, where={"optimizer.rho": [None, 0.111803], "data.signal_norm": [1, 3], "step": 4})
    words = [*VALUE, "--step", 4, "--where", "optimizer.rho=null,0.111803"]
    words += ["-x", "data.signal_norm", "--where", "data.dim=60"] if kind == "curve" else []
    table = drawn(kind, *words)
    by = [c for c in ("data.dim", "data.signal_norm") if c in table]
    rows = rows if kind != "curve" else rows[rows["data.dim"] == 60]
    mean = rows.groupby(["optimizer.name", *by])["train_loss"].mean()
    expected = mean["sgd"] - mean["sam"] if kind == "difference" else mean["sgd"]
    found = table if kind == "difference" else table[table["optimizer"] == "sgd"]
    pd.testing.assert_series_equal(found.set_index(by)["mean"].sort_index(), expected, check_names=False)


def test_a_figure_at_a_train_loss(drawn, store):
    recorded = fl.load(store, where={"optimizer.name": "sgd"})
    level = round(recorded.groupby("run_id")["train_loss"].min().median(), 4)
    rows = fl.tables.at_train_loss(recorded, level)
    assert 0 < rows["reached"].sum() < len(rows) and {"grad_norm", "train_loss"} <= {*rows.columns}
    value = "signal_coef_max"
    table = drawn("phase", "--value", value, "--at-train-loss", level, "--optimizer", "sgd")
    expected = rows.groupby(["data.dim", "data.signal_norm"])[value].mean()
    found = table.set_index(["data.dim", "data.signal_norm"])["mean"].sort_index()
    pd.testing.assert_series_equal(found, expected, check_names=False)
