"""The README is executed: its configs are read, its commands and its Python run, its words exist."""

import re
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from helpers import ALL_TRACKERS, RULES, make_run, mini_batches

import featlearn as fl
from featlearn.simulation import simulate
from featlearn.trackers import TRACKERS

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder in which every YAML block lies under the name in its first line."""
    folder = tmp_path_factory.mktemp("readme")
    for block in blocks("yaml"):
        (folder / block.split("\n", 1)[0].removeprefix("# ")).write_text(block)
    return folder


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
            command = [sys.executable, "-c", "from featlearn.cli import main; main()", *words[1:]]
            done = subprocess.run(command, capture_output=True, text=True)
            assert done.returncode == 0, (words, done.stderr)
    assert {p.name for p in folder.iterdir()} >= {"phase.pdf", "phase.csv", "difference.png", "dynamics.svg"}
    names = {"__name__": "readme"}
    monkeypatch.setitem(sys.modules, "readme", type(sys)("readme"))
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), names)
    assert len(names["last"]) == 5 * 3 * 2 * 4
    same_rule_twice(names["MySAM"])
    assert names["model"][1].num_batches_tracked == 10 and names["loss"].isfinite()


def same_rule_twice(my_sam):
    """The rule that the README spells out is the built-in one."""
    from featlearn.simulation import build_engine

    run = replace(make_run(), train=replace(make_run().train, batch_size=3))
    engine, ends = build_engine([run], "cpu"), []
    for rule in (my_sam(lr=0.1, rho=0.1), RULES["sam"]):
        w, memory = engine.initial(), rule.init(engine.initial())
        for t, loss in zip(range(20), mini_batches(engine.problem.labels, run).losses(engine), strict=False):
            w, memory = rule.step(loss, w, memory, t)
        ends.append(engine.align(w))
    assert (ends[0] == ends[1]).all()


def test_every_word_of_the_table_exists():
    rows = [
        line.split("|")
        for line in TEXT.split("## Words")[1].split("## ")[0].splitlines()
        if line.startswith("|") and "`" in line
    ]
    words = {word for row in rows for cell in (row[2], row[4]) for word in re.findall(r"`([a-z_.]+)`", cell)}
    everything = (*ALL_TRACKERS, TRACKERS["sam_edge"](), TRACKERS["stability_edge"]())
    frame = simulate(make_run(RULES["sam"], record__trackers=everything)).to_frame()
    from featlearn.engines.protocol import Observation

    known = {*frame.columns, *Observation.__dataclass_fields__}
    assert len(rows) >= 15 and words <= known, words - known


def test_pictures_exist():
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", TEXT)
    assert pictures and all((ROOT / picture).is_file() for picture in pictures)


def test_public_names_load():
    assert all(getattr(fl, name) is not None for name in fl.__all__)
