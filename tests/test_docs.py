"""README.md and docs/ are executed: every block runs, and what the pages say of the results holds."""

import re

import numpy as np
import pytest
from documents import ROOT, blocks, call, pages, run, write
from helpers import ALL_TRACKERS, RULES, make_run

import featlearn as fl
from featlearn.data import DATA, XOR
from featlearn.engines.protocol import Observation
from featlearn.simulation import simulate
from featlearn.trackers import TRACKERS

CHAIN = (
    "README.md",
    "docs/start.md",
    "docs/guide/configs.md",
    "docs/guide/plots.md",
    "docs/guide/report.md",
)  # in one folder, one by one
READS = dict.fromkeys(  # pages that extend the config of another
    ("docs/guide/rules.md", "docs/guide/trackers.md", "docs/guide/functions.md", "docs/guide/clusters.md"),
    "docs/start.md",
)
ALONE = [(page,) for page in pages() if page not in CHAIN]


def of_start(names, folder):
    assert {"phase.pdf", "phase.csv", "difference.png"} <= {path.name for path in folder.iterdir()}
    assert len(names["last"]) == 5 * 3 * 2 * 4


def of_configs(names, folder):
    assert (folder / "edge.pdf").is_file() and (folder / "run.npz").is_file()


def of_plots(names, folder):
    assert {"curve.pdf", "dynamics.svg", "boundary.pdf"} <= {path.name for path in folder.iterdir()}
    assert len(names["pairs"]) == 5 * 3 * 4 and names["ax"].get_xlabel()


def of_flows(names, folder):
    assert [round(x, 2) for x in names["order"][:3]] == [0.92, 0.91, 0.94]


def of_torch(names, folder):
    assert names["model"][1].num_batches_tracked == 10 and names["loss"].isfinite()


CHECKS = {
    "docs/start.md": of_start,
    "docs/guide/configs.md": of_configs,
    "docs/guide/plots.md": of_plots,
    "docs/guide/flows.md": of_flows,
    "docs/guide/torch.md": of_torch,
}


@pytest.mark.parametrize("chain", [CHAIN, *ALONE], ids=lambda chain: chain[-1])
def test_every_block_of_a_page_runs(chain, tmp_path, monkeypatch):
    for page in chain:
        if page in READS:
            write(READS[page], tmp_path)
        names = run(page, tmp_path, monkeypatch)
        CHECKS.get(page, lambda names, folder: None)(names, tmp_path)


def test_pages_that_are_checked_exist():
    assert {*CHAIN, *READS, *CHECKS} <= {*pages()}


def test_a_broken_line_is_detected():
    """Negative control."""
    with pytest.raises(AssertionError, match="no_such_file"):
        call(["featlearn", "run", "no_such_file.yaml"])
    with pytest.raises(AssertionError, match="no test knows how to run curl"):
        call(["curl", "x"])


def test_pages_share_the_first_config():
    (first,) = {blocks(page)[1] for page in ("README.md", "docs/start.md")}
    assert first[1].startswith("# first.yaml")


def test_the_rule_of_the_pages_is_the_built_in_one_in_both_engines(tmp_path):
    """From the very file and config of the page, on mini-batches; the engines agree on one draw."""
    write("docs/start.md", tmp_path)
    write("docs/guide/rules.md", tmp_path)
    losses = {}
    for engine in ("gram", "weights"):
        small = {"engine": engine, "sampling": "vectors", "train.batch_size": 5, "record.trackers": ["loss"]}
        mine = fl.load_config(tmp_path / "mine.yaml", set=small)
        theirs = {"optimizer": {"name": "sam", "lr": 0.02, "rho": 0.03}}
        trajectory, twin = simulate(mine), simulate(fl.load_config(tmp_path / "mine.yaml", set={**small, **theirs}))
        losses[engine] = trajectory.values["train_loss"]
        assert len(mine) == 5 * 3 * 4 and trajectory.run.run_id != twin.run.run_id
        assert losses[engine].tobytes() == twin.values["train_loss"].tobytes()
    assert np.abs(losses["gram"] - losses["weights"]).max() < 1e-12
    assert losses["gram"][-1] < 0.9 * losses["gram"][0]


def test_the_tracker_of_the_page_agrees_in_both_engines(tmp_path):
    """From the very file and config of the page; twelve lines of code."""
    write("docs/start.md", tmp_path)
    write("docs/guide/trackers.md", tmp_path)
    (written,) = [text for _, text in blocks("docs/guide/trackers.md") if text.startswith("# my_trackers.py")]
    assert len([line for line in written.splitlines()[1:] if line]) <= 12
    seen = {}
    for engine in ("gram", "weights"):
        small = {"engine": engine, "sampling": "vectors", "train.n_steps": 10}
        seen[engine] = simulate(fl.load_config(tmp_path / "watched.yaml", set=small)).values
        assert seen[engine]["moved"][0] == 0 < seen[engine]["moved"][-1]
    for name in ("large", "moved"):
        np.testing.assert_allclose(seen["gram"][name], seen["weights"][name], rtol=1e-10)


def test_the_tables_are_all_named():
    text = (ROOT / "docs" / "guide" / "plots.md").read_text()
    rows = re.findall(r"^\| (`.*?) \|", text.split("| in `fl.tables`")[1], re.M)
    named = {word.strip("`") for row in rows for word in row.split(", ") if word.startswith("`")}
    assert named >= {name for name in fl.tables.__all__ if name.islower()}


def test_the_kinds_of_plots_are_all_named():
    text = (ROOT / "docs" / "guide" / "plots.md").read_text().split("| kind | shows |")[1].split("\n\n")[0]
    assert {*re.findall(r"`(\w+)`", text)} == {*fl.plots.KINDS}


def test_every_word_of_the_table_exists():
    rows = [
        line.split("|")
        for line in (ROOT / "docs" / "model.md").read_text().split("## Words")[1].splitlines()
        if line.startswith("|") and "`" in line
    ]
    words = {word for row in rows for cell in (row[2], row[4]) for word in re.findall(r"`([a-z_.]+)`", cell)}
    everything = (*ALL_TRACKERS, TRACKERS["sam_edge"](), TRACKERS["stability_edge"]())
    runs = (
        make_run(RULES["sam"], record__trackers=everything),
        make_run(data=XOR(n_samples=8, dim=60, snr=0.3, noise_spectrum=((2.0, 10.0), (1.0, None)))),
    )
    columns = {column for run in runs for column in simulate(run).to_frame().columns}
    known = {*columns, *DATA, *Observation.__dataclass_fields__}
    assert len(rows) >= 15 and words <= known, words - known


def test_every_figure_is_in_the_gallery():
    shown = {*re.findall(r"figures/(\w+\.png)\)", (ROOT / "docs" / "gallery.md").read_text())}
    assert shown == {path.name for path in (ROOT / "analysis" / "figures").glob("*.png")}


def test_every_notebook_is_among_the_studies():
    named = {*re.findall(r"analysis/(\w+\.(?:py|md))\)", (ROOT / "docs" / "studies.md").read_text())}
    assert named == {path.name for path in (ROOT / "analysis").iterdir() if path.suffix in (".py", ".md")}


def test_the_readme_is_short_and_its_links_work():
    text = (ROOT / "README.md").read_text()
    links = [link for link in re.findall(r"\]\((.*?)\)", text) if "://" not in link]
    assert len(text.splitlines()) < 150 and len(links) > 15
    assert [link for link in links if not (ROOT / link).is_file()] == []


def test_public_names_load():
    assert all(getattr(fl, name) is not None for name in fl.__all__)
