"""Whether a process lives; more: test_temporary.py, tests/sweeps/test_holders.py."""

import os
import subprocess
import sys

from featlearn.store.processes import machine, started


def test_a_process_that_has_ended_does_not_live_even_before_its_parent_asks():
    process = subprocess.Popen([sys.executable, "-c", "print(1, flush=True); input()"], stdin=-1, stdout=-1)
    assert process.stdout.readline() and started(process.pid) not in (None, started(os.getpid()))
    process.stdin.close()
    process.stdout.read()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # a zombie
    assert started(process.pid) is None
    process.wait()
    process.stdout.close()
    assert started(process.pid) is None and started(2**40) is None
    assert machine() == machine() and len(machine()) == 16
