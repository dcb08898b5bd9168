"""A process that is started receives no signal before it is ready, and ends with its parent."""

import os
import signal
import sys
import time

import pytest
from fakes import FakeConfig, quiet, started

from featlearn.sweeps.process import unsignalled


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="POSIX signals")
def test_signals_wait_while_a_process_starts():
    with pytest.raises(KeyboardInterrupt), unsignalled():
        signal.raise_signal(signal.SIGINT)
        reached = True
    assert reached and signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


@pytest.mark.usefixtures("fake")
@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
def test_workers_die_with_a_killed_parent_and_remove_its_temporary_files(tmp_path):
    (tmp_path / "t").mkdir()
    process = started(tmp_path / "s", 2, TMPDIR=str(tmp_path / "t"))
    workers = children(process.pid)
    assert len(workers) >= 2 and os.listdir(tmp_path / "t")
    process.kill()
    process.communicate()
    for _ in range(100):
        if not any(os.path.exists(f"/proc/{pid}") for pid in workers) and not strays(tmp_path / "t"):
            break
        time.sleep(0.1)
    else:
        raise AssertionError("a worker, or a file, outlives its parent")
    assert (tmp_path / "s" / "claims").exists()
    assert quiet(FakeConfig(tuple(range(100, 160))), tmp_path / "s").missing == 0
    assert not (tmp_path / "s" / "claims").exists()


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return file.read().split()


def strays(folder):
    return [name for name in os.listdir(folder) if name.startswith("featlearn")]
