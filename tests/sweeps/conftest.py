"""Sweeps with blocks without cost."""

import fakes
import pytest

from featlearn.sweeps import crew, worker


@pytest.fixture
def fake(monkeypatch):
    """Blocks of four runs without cost, in this process."""
    monkeypatch.setattr(worker, "simulate_block", fakes.fake_block)
    monkeypatch.setattr("featlearn.sweeps.blocks.lanes", lambda run, device: 4)


@pytest.fixture
def fake_workers(fake, monkeypatch):
    """The same in worker processes, which start and end with the test."""
    monkeypatch.setattr(crew, "run_block_in_worker", fakes.run_block_in_worker)
    crew.end_idle()  # workers keep the environment that they started with
    yield
    crew.end_idle()  # and what they call
