"""Configs of landscapes: the shortest of each runs from the command line, and mismatches are refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

import featlearn as fl
from featlearn.cli import app
from featlearn.config import SweepConfig
from featlearn.models import MODELS, Landscape

Load = Callable[..., SweepConfig]
Problems = Callable[..., list[str]]
Write = Callable[..., Path]

REST = """
optimizer: {name: sam, lr: 0.01, rho: 0.03}
train: {n_steps: 4}
"""
LANDSCAPES = [word for word, cls in MODELS.items() if issubclass(cls, Landscape)]
BASES = {word: f"network: {word}{REST}" for word in LANDSCAPES}
CLASSES = ("digits", "iris", "breast_cancer")
for _word in CLASSES:
    BASES[_word] = f"network: {{model: mlp, loss: cross_entropy}}\ndata: {{model: {_word}, n_samples: 9}}{REST}"


@pytest.mark.parametrize("case", BASES)
def test_the_shortest_config_validates_and_runs_from_the_command_line(write: Write, case: str) -> None:
    path = str(write(BASES[case]))
    checked = CliRunner().invoke(app, ["validate", path, "--expand"])
    assert checked.exit_code == 0, checked.output
    assert "weights engine, sampling vectors" in checked.output
    done = CliRunner().invoke(app, ["run", path, "--device", "cpu"])
    assert done.exit_code == 0, done.output
    assert "ok; took all 4 steps" in done.output and "train_loss" in done.output
    assert ("train_error" in done.output) == (case in CLASSES)


def test_a_sweep_is_stored_under_dotted_keys(write: Write, tmp_path: Path) -> None:
    sweep = "sweep: {network.spectrum: [[2, 1], [3, 2, 1]], optimizer.rho: [0, 0.1], seed: [0, 1]}"
    config = fl.load_config(write(BASES["quadratic"] + sweep))
    report = fl.sweep(config, tmp_path / "store", device="cpu", progress=False)
    assert (report.total, report.failed) == (8, 0)
    last = fl.summary(tmp_path / "store")
    assert set(last["network.spectrum"]) == {"[2.0, 1.0]", "[3.0, 2.0, 1.0]"}
    assert set(last["network.model"]) == {"quadratic"} and set(last["data.model"]) == {"none"}
    assert last["train_loss"].notna().all() and last["run_id"].is_unique


def test_landscapes_may_be_swept_with_their_data(load: Load) -> None:
    pairs = "{network: [valley, {model: mlp, width: 3}], data: [{model: none}, {model: chebyshev}]}"
    config = load(f"sweep: {{zip: {pairs}}}", base=f"network: valley{REST}")
    assert [type(run.network).__name__ for run in config.runs()] == ["Valley", "MLP"]


def test_trackers_not_asked_for_are_those_that_the_network_serves(load: Load) -> None:
    record = load(base=BASES["valley"]).base_run().record
    assert [type(tracker).__name__ for tracker in record.trackers] == ["Loss"]
    assert load(base=BASES["valley"]).base_run().engine == "weights"


@pytest.mark.parametrize(
    ("base", "setting", "message"),
    [
        ("valley", "engine=gram", "network: valley needs coordinates, which the gram engine does not provide"),
        ("valley", "data.model=digits", "data.model: a network of model valley needs none, found digits"),
        ("mlp", "data.model=gaussian", "data.model: a network of model mlp needs chebyshev or digits or iris or b"),
        (
            "mlp",
            "network.loss=cross_entropy",
            "network.loss: cross_entropy needs classes, which these data do not have",
        ),
        ("mlp", "network.spectrum=[1]", "network.spectrum: not a key of MLP, which has width, n_hidden,"),
        ("quadratic", "network.spectrum=[]", "network.spectrum: expected a list (each a number), found []"),
        ("quadratic", "network.spectrum=[1, x]", 'network.spectrum: expected a list (each a number), found [1, "x"]'),
        ("quadratic", "network.spectrum=3", "network.spectrum: expected a list (each a number), found 3"),
        ("quadratic", "network.start=[1, 2]", "network.start: start has 2 coordinates, and spectrum 3"),
        (
            "two_valleys",
            "network.n_transverse=-1",
            "network.n_transverse: expected an integer >= 0 and <= 1000000, found -1",
        ),
        ("iris", "data.n_samples=151", "data.n_samples: expected an integer >= 2 and <= 150, found 151"),
        ("digits", "data.n_samples=1798", "data.n_samples: expected an integer >= 2 and <= 1797, found 1798"),
        ("valley", "sampling=gram", "sampling: gram is a law of signal and noise; a landscape draws its own"),
        ("valley", "optimizer.rho={theory: 1}", "optimizer.rho: theory scales are for signal-noise data; give a num"),
        ("valley", "train.batch_size=2", "train.batch_size: 2 is more than data.n_samples = 1"),
        (
            "valley",
            "optimizer={name: label_noise, lr: 0.1, flip_rate: 0.2}",
            "optimizer.name: label_noise needs labels, which a network of model valley does not provide",
        ),
        (
            "valley",
            "record.trackers=[decomposition]",
            "record.trackers: decomposition needs span, which a network of model valley does not provide",
        ),
        (
            "valley",
            "record.trackers=[test_error]",
            "record.trackers: test_error needs patches, which a network of model valley does not provide",
        ),
        (
            "valley",
            "record.trackers=[{name: position, n_coordinates: 3}]",
            "record.trackers: position needs 3 coordinates; the network has 2 parameters",
        ),
    ],
)
def test_a_mismatch_is_refused_with_its_key(problems: Problems, base: str, setting: str, message: str) -> None:
    (line,) = problems(base=BASES[base], set=[setting])
    place, _, problem = line.partition(": ")
    assert place in ("--set", "x.yaml:1")
    assert problem.startswith(message)


def test_a_network_on_patches_is_not_shown_digits(problems: Problems) -> None:
    (line,) = problems(set=["data={model: digits, n_samples: 20}"])
    needed = "needs signal_noise or xor or leaky_mixture, found digits"
    assert line == f"--set: data.model: a network of model two_layer_cnn {needed}"


def test_position_needs_the_weight_engine(load: Load, problems: Problems) -> None:
    assert load(set=["record.trackers=[position]"]).base_run().engine == "weights"
    (line,) = problems(set=["record.trackers=[position]", "engine=gram"])
    assert line == "--set: record.trackers: position needs coordinates, which the gram engine does not provide"


def test_a_section_that_is_a_word_may_be_changed_and_swept_key_by_key(load: Load) -> None:
    config = load("sweep: {network.y: [1, 2]}", base=BASES["valley"], set=["network.x=3"])
    assert [(run.network.x, run.network.y) for run in config.runs()] == [(3.0, 1.0), (3.0, 2.0)]
    words = load("sweep: {network: [valley, product], network.y: [1, 2]}", base=BASES["valley"])
    assert [(type(run.network).__name__, run.network.y) for run in words.runs()] == [
        (name, y) for name in ("Valley", "Product") for y in (1.0, 2.0)
    ]


def test_export_refuses_a_landscape(write: Write) -> None:
    done = CliRunner().invoke(app, ["export", str(write(BASES["valley"])), "-o", "x.npz"])
    assert done.exit_code == 2 and not Path("x.npz").exists()
    assert "network.model: an export holds patches and filters, which a landscape does not have" in done.output
