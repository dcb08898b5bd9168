"""Entry points, and the behaviour common to all commands."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

import featlearn as fl
from featlearn.cli import app

CONFIG = """\
data: {n_samples: 4, dim: 50, signal_norm: 2.0}
network: {n_filters: 2, init_std: 0.05}
optimizer: {name: sgd, lr: 0.1}
train: {n_steps: 4}
record: {every: 2, trackers: [loss]}
sweep: {seed: [0, 1]}
"""


def call(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def config(tmp_path):
    (tmp_path / "x.yaml").write_text(CONFIG)
    return tmp_path / "x.yaml"


def test_the_package_runs_as_a_module():
    done = subprocess.run([sys.executable, "-m", "featlearn", "-h"], capture_output=True, text=True)
    assert (
        done.returncode == 0 and done.stdout.startswith("Usage: featlearn ") and "--install-completion" in done.stdout
    )


@pytest.mark.parametrize("command", [[], *([word] for word in ("run", "sweep", "status", "plot", "list", "bench"))])
def test_help_is_short_and_long_and_names_what_works(command):
    short, long = call(*command, "-h"), call(*command, "--help")
    assert short.exit_code == 0 and short.stdout == long.stdout
    assert ("--backend" in short.stdout) == ("--scheduler" in short.stdout) == (command == ["sweep"])


def test_jobs_has_a_short_form_and_quiet_prints_nothing(config, tmp_path):
    sweep = "sweep", config, "--out", tmp_path / "s", "-j", 1
    for quiet in ("--quiet", "-q"):
        result = call(*sweep, quiet)
        assert (result.exit_code, result.output) == (0, "")
    assert "2 reused" in call(*sweep).stdout and len(fl.summary(tmp_path / "s")) == 2


def test_quiet_keeps_errors(config, tmp_path, monkeypatch):
    monkeypatch.setattr("featlearn.sweeps.worker.simulate_block", lambda *_, **__: 1 / 0)
    result = call("sweep", config, "--out", tmp_path / "s", "--quiet")
    assert result.exit_code == 1 and not result.stdout and result.stderr.startswith("2 runs failed: `featlearn status")


@pytest.mark.parametrize(
    "words",
    [
        ("sweep", "{config}", "--out", "{new}", "--out", "{new}"),
        ("sweep", "{config}", "--out", "{new}", "-j", "1", "--jobs", "2"),
        ("sweep", "{config}", "--out", "{new}", "--device", "cpu", "--device", "auto"),
        ("run", "{config}", "--device", "cpu", "--device", "cpu"),
        ("plot", "phase", "{new}", "-o", "{new}.png", "-x", "seed", "-x", "data.dim"),
        ("plot", "dynamics", "{new}", "-o", "{new}.png", "--log", "--no-log"),
        ("export", "{config}", "-o", "{new}.npz", "-o", "{new}.npz"),
    ],
)
def test_an_option_given_twice_where_one_value_counts_is_refused(config, tmp_path, words):
    result = call(*(word.format(config=config, new=tmp_path / "new") for word in words))
    assert result.exit_code == 2 and "given twice, where one value counts" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["x.yaml"]


def test_repeatable_options_may_be_repeated(config):
    assert call("validate", config, "--set", "seed=1", "--set", "data.dim=60").exit_code == 0


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_a_completion_script(shell):
    shown = subprocess.run(
        [sys.executable, "-m", "featlearn"],
        capture_output=True,
        text=True,
        env={"_FEATLEARN_COMPLETE": f"complete_{shell}", "COMP_WORDS": "featlearn sw", "COMP_CWORD": "1"}
        | {
            "_TYPER_COMPLETE_ARGS": "featlearn sw",
            "_TYPER_COMPLETE_FISH_ACTION": "get-args",
            "PYTHONPATH": ":".join(sys.path),
        },
    )
    assert "sweep" in shown.stdout, shown
