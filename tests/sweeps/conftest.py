"""Sweeps whose blocks cost nothing."""

import fakes
import pytest
from joblib.externals.loky import get_reusable_executor

from featlearn.sweeps import pool, worker


@pytest.fixture
def fake(monkeypatch):
    """Blocks of four runs that cost nothing, in this process and in workers."""
    monkeypatch.setattr(worker, "simulate_block", fakes.fake_block)
    monkeypatch.setattr(pool, "run_block_in_worker", fakes.run_block_in_worker)
    monkeypatch.setattr("featlearn.sweeps.blocks.lanes", lambda run, device: 4)
    yield
    get_reusable_executor().shutdown()  # its workers have learned to fake
