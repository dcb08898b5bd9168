"""A sweep waits for what others compute, reports it, and computes what they leave."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
from fakes import FakeConfig, fake_block

from featlearn.store import Store, rows
from featlearn.sweeps import sharing, sweep
from featlearn.sweeps.holders import Holder

RUNS = list(FakeConfig(tuple(range(6))).runs())


@pytest.mark.usefixtures("fake")
def test_a_sweep_waits_for_another_and_computes_what_that_one_leaves(tmp_path, monkeypatch, capsys):
    """Which claims all runs, commits two while this one waits, and ends."""
    store = Store.create(tmp_path / "s", "fake")
    (store.path / "claims").mkdir()
    claim = store.path / "claims" / "another"
    lines = [json.dumps(vars(replace(Holder.this(), host="another"))), *(f"+{run.run_id}" for run in RUNS)]
    claim.write_text("\n".join(lines) + "\n")

    def goes_on(seconds):
        if claim.exists():
            store.add_part(rows(fake_block(RUNS[:2], device="cpu")), {})
            claim.unlink()

    monkeypatch.setattr(sharing, "time", SimpleNamespace(sleep=goes_on))
    report = sweep(FakeConfig(tuple(range(6))), store.path, device="cpu")
    assert (report.done, report.shared, report.missing) == (4, 2, 0)
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "fake: waiting for 6 runs that another sweep computes"
    assert said[-1] == "fake: 4 done, 0 reused, 2 computed by other sweeps, 0 failed"
