"""The README is executed: its configs are read, its commands and its Python run, its words exist."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import ALL_TRACKERS, RULES, make_run
from typer.testing import CliRunner

import featlearn as fl
from featlearn.cli import app
from featlearn.data import DATA, XOR
from featlearn.simulation import simulate
from featlearn.trackers import TRACKERS

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder in which every block that begins with the name of a file lies under that name."""
    folder = tmp_path_factory.mktemp("readme")
    for block in [*blocks("yaml"), *filter(is_file, blocks("python"))]:
        (folder / block.split("\n", 1)[0].removeprefix("# ")).write_text(block)
    return folder


def is_file(block):
    return re.match(r"# \w+\.py\n", block) is not None


def command_lines():
    lines = [shlex.split(line, comments=True) for block in blocks("bash") for line in block.splitlines() if line]
    return [words for words in lines if words != [".", ".venv/bin/activate"]]


def test_every_command_runs_and_python_follows(folder, monkeypatch):
    monkeypatch.chdir(folder)
    for words in command_lines():
        if words[0] == "make":
            subprocess.run(["make", "-n", *words[1:]], cwd=ROOT, check=True, capture_output=True)
        else:
            assert words[0] == "featlearn"
            done = CliRunner().invoke(app, words[1:])  # processes of its own: tests/test_cli.py
            assert done.exit_code == 0, (words, done.output, done.exception)
    assert {p.name for p in folder.iterdir()} >= {
        "phase.pdf",
        "phase.csv",
        "difference.png",
        "dynamics.svg",
        "edge.pdf",
    }
    names = {"__name__": "readme"}
    monkeypatch.setitem(sys.modules, "readme", type(sys)("readme"))
    for block in blocks("python"):
        if not is_file(block):
            exec(compile(block, "README.md", "exec"), names)
    assert len(names["last"]) == 5 * 3 * 2 * 4
    assert [round(x, 2) for x in names["order"][:3]] == [0.92, 0.91, 0.94]
    assert names["model"][1].num_batches_tracked == 10 and names["loss"].isfinite()


def test_the_rule_of_the_readme_is_the_built_in_one_in_both_engines(folder):
    """From the very file and config of the section, on mini-batches; the engines agree on one draw."""
    losses = {}
    for engine in ("gram", "weights"):
        small = {"engine": engine, "sampling": "vectors", "train.batch_size": 5, "record.trackers": ["loss"]}
        mine = fl.load_config(folder / "mine.yaml", set=small)
        theirs = {"optimizer": {"name": "sam", "lr": 0.02, "rho": 0.03}}
        trajectory, twin = simulate(mine), simulate(fl.load_config(folder / "mine.yaml", set={**small, **theirs}))
        losses[engine] = trajectory.values["train_loss"]
        assert len(mine) == 5 * 3 * 4 and trajectory.run.run_id != twin.run.run_id
        assert losses[engine].tobytes() == twin.values["train_loss"].tobytes()
    assert np.abs(losses["gram"] - losses["weights"]).max() < 1e-12
    assert losses["gram"][-1] < 0.9 * losses["gram"][0]


def test_the_tracker_of_the_readme_agrees_in_both_engines(folder):
    """From the very file and config of the section; twelve lines of code."""
    (written,) = [block for block in blocks("python") if block.startswith("# my_trackers.py")]
    assert len([line for line in written.splitlines()[1:] if line]) <= 12
    seen = {}
    for engine in ("gram", "weights"):
        small = {"engine": engine, "sampling": "vectors", "train.n_steps": 10}
        seen[engine] = simulate(fl.load_config(folder / "watched.yaml", set=small)).values
        assert seen[engine]["moved"][0] == 0 < seen[engine]["moved"][-1]
    for name in ("large", "moved"):
        np.testing.assert_allclose(seen["gram"][name], seen["weights"][name], rtol=1e-10)


def test_the_tables_are_all_named():
    rows = re.findall(r"^\| (`.*?) \|", TEXT.split("| in `fl.tables`")[1], re.M)
    named = {word.strip("`") for row in rows for word in row.split(", ") if word.startswith("`")}
    assert named >= {name for name in fl.tables.__all__ if name.islower()}


def test_every_word_of_the_table_exists():
    rows = [
        line.split("|")
        for line in TEXT.split("## Words")[1].split("## ")[0].splitlines()
        if line.startswith("|") and "`" in line
    ]
    words = {word for row in rows for cell in (row[2], row[4]) for word in re.findall(r"`([a-z_.]+)`", cell)}
    everything = (*ALL_TRACKERS, TRACKERS["sam_edge"](), TRACKERS["stability_edge"]())
    runs = (make_run(RULES["sam"], record__trackers=everything), make_run(data=XOR(n_samples=8, dim=60, snr=0.3)))
    columns = {column for run in runs for column in simulate(run).to_frame().columns}
    from featlearn.engines.protocol import Observation

    known = {*columns, *DATA, *Observation.__dataclass_fields__}
    assert len(rows) >= 15 and words <= known, words - known


def test_pictures_exist():
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", TEXT)
    assert pictures and all((ROOT / picture).is_file() for picture in pictures)


def test_public_names_load():
    assert all(getattr(fl, name) is not None for name in fl.__all__)
