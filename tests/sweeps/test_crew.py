"""Processes serve several sweeps, but never code that Python would not load anew."""

import os
import signal

import pytest
from fakes import FakeConfig, quiet

from featlearn.custom import Source
from featlearn.sweeps import crew
from featlearn.sweeps.crew import Crew, Process


@pytest.mark.usefixtures("fake_workers")
def test_a_process_serves_the_next_sweep_and_one_killed_meanwhile_is_replaced(tmp_path):
    quiet(FakeConfig((1,)), tmp_path / "s", time_limit=60)
    (process,) = crew._idle
    (first,) = process.executor._processes
    quiet(FakeConfig((1, 2)), tmp_path / "s", time_limit=60)
    assert crew._idle == [process] and list(process.executor._processes) == [first]
    os.kill(first, signal.SIGKILL)
    assert quiet(FakeConfig((1, 2, 3)), tmp_path / "s", time_limit=60).done == 1
    assert first not in crew._idle[0].executor._processes


def test_a_process_that_knows_another_version_of_a_class_serves_no_sweep_of_this_one(monkeypatch):
    old, new, other = Source("lab.rules:R", "old"), Source("lab.rules:R", "new"), Source("lab.others:S", "text")
    process = Process(None, {old.name: old.digest})
    monkeypatch.setattr(crew, "_idle", [process])
    assert Crew(1, "cpu", {new.name: new.digest}, None)._process() is not process and crew._idle == [process]
    assert Crew(1, "cpu", {c.name: c.digest for c in (old, other)}, None)._process() is process and crew._idle == []
