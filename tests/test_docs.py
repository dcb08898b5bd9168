"""README.md and docs/ are executed: every block runs, and what the pages say of the results holds."""

import re

import numpy as np
import pytest
from documents import ROOT, blocks, pages, run, write
from helpers import ALL_TRACKERS, RULES, make_run

import featlearn as fl
from featlearn.data import DATA, XOR
from featlearn.engines.protocol import Observation
from featlearn.simulation import simulate
from featlearn.trackers import TRACKERS

CHAINS = (  # pages that continue the one before, in its folder
    ("README.md", "docs/start.md", "docs/guide/configs.md", "docs/guide/plots.md"),
)
READS = dict.fromkeys(  # pages that extend the config of another
    ("docs/guide/rules.md", "docs/guide/trackers.md", "docs/guide/clusters.md"), "docs/start.md"
)


def swept(folder, names):
    assert {"phase.pdf", "phase.csv", "difference.png"} <= {path.name for path in folder.iterdir()}
    assert len(names["last"]) == 5 * 3 * 2 * 4


CHECKS = {"docs/start.md": swept}
CHAINED = {page for chain in CHAINS for page in chain}
ALL = (*CHAINS, *((page,) for page in pages() if page not in CHAINED))


@pytest.mark.parametrize("chain", ALL, ids=lambda chain: chain[-1])
def test_every_block_of_a_page_runs(chain, tmp_path, monkeypatch):
    for page in chain:
        if page in READS:
            write(READS[page], tmp_path)
        names = run(page, tmp_path, monkeypatch)
        CHECKS.get(page, lambda folder, names: None)(tmp_path, names)
