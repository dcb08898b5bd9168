"""The last words of a process, and what they and its exit code say."""

import os
import signal
import subprocess
import sys

import pytest
from joblib.externals.loky.process_executor import BrokenProcessPool

from featlearn.sweeps.faults import Death, watched

WATCHED = """
import pathlib, sys, time, types
import featlearn
from featlearn.pace import COMPILING
package = sys.modules["featlearn.sweeps"] = types.ModuleType("featlearn.sweeps")  # without torch, which takes seconds
package.__path__ = [featlearn.__path__[0] + "/sweeps"]
from featlearn.sweeps import faults

def spend(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass

times = []

def compute():
    times.append(1)
    {}

with faults.watched(pathlib.Path(sys.argv[1]), float(sys.argv[2])) as watch:
    watch.timed(lambda: None, "warm")
    {}
    watch.timed(compute, sys.argv[3])
    print("in time", len(times))
"""


def run(code, path, limit, kind="warm", settings="pass"):
    command = [sys.executable, "-c", WATCHED.format(code, settings), str(path), str(limit), kind]
    return subprocess.run(command, capture_output=True, text=True)


def test_a_process_that_exceeds_its_limit_ends_and_leaves_its_traceback(tmp_path):
    done = run("spend(60)", tmp_path / "f", 0.1)
    assert done.returncode == -signal.SIGPROF and done.stdout == done.stderr == ""
    death = Death.of(BrokenProcessPool("{SIGPROF(-27)}"), tmp_path / "f", 0.1)
    assert death.late and death.reason == "it took longer than the time limit of 0.1 s"
    assert "in spend" in death.words and not (tmp_path / "f").exists()


def test_on_a_busy_machine_only_ones_own_seconds_count(tmp_path):
    """A run that has no processor spends no time of one, like one that sleeps; in the end it is waiting for ever."""
    assert run("time.sleep(1)", tmp_path / "f", 0.2).stdout == "in time 1\n"
    done = run("time.sleep(60)", tmp_path / "f", 0.1, settings="faults.WAIT_SECONDS = 0.2")
    assert done.returncode == 1 and done.stdout == ""
    death = Death.of(BrokenProcessPool("{EXIT(1)}"), tmp_path / "f", 0.1)
    assert death.late and death.reason.endswith(
        "time limit of 0.1 s, most of it waiting for something else than the processor"
    )


def test_the_first_of_its_kind_in_a_process_is_computed_again_if_it_takes_too_long(tmp_path):
    """It also imports libraries, which is no fault of a run; what is as slow the second time fails."""
    assert run("spend(.5 if len(times) == 1 else 0)", tmp_path / "f", 0.2, "cold").stdout == "in time 2\n"
    assert run("spend(.1)", tmp_path / "f", 0.2, "cold").stdout == "in time 1\n"
    assert run("spend(.5 if len(times) == 1 else 0)", tmp_path / "f", 0.2, "warm").returncode == -signal.SIGPROF
    assert run("spend(.5)", tmp_path / "f", 0.2, "cold").returncode == -signal.SIGPROF
    forever = run("spend(60)", tmp_path / "f", 0.1, "cold", settings="faults.START_SECONDS = 0.2")
    assert forever.returncode == -signal.SIGPROF


def test_compilation_does_not_count_and_what_follows_does(tmp_path):
    compiling = "watch.note(COMPILING); spend(.4); watch.note(COMPILING); watch.note(0.5)"
    assert run(compiling, tmp_path / "f", 0.3).stdout == "in time 1\n" and not (tmp_path / "f").exists()
    assert run(f"{compiling}; spend(60)", tmp_path / "f", 0.3).returncode == -signal.SIGPROF


def test_a_crash_leaves_a_traceback(tmp_path):
    done = run("import ctypes; ctypes.string_at(0)", tmp_path / "f", 9)
    assert done.returncode == -signal.SIGSEGV
    death = Death.of(BrokenProcessPool("exit codes {SIGSEGV(-11)}"), tmp_path / "f", 9)
    assert death.reason == "the process computing it ended by SIGSEGV" and not death.late
    assert "Segmentation fault" in death.words and "string_at" in death.words


@pytest.mark.parametrize(
    ("codes", "how"),
    [
        ("{EXIT(7)}", "ended with exit code 7"),
        ("{SIGABRT(-6)}", "ended by SIGABRT"),
        ("", "ended"),
        ("{SIGKILL(-9)}", "was killed (SIGKILL; out of memory?)"),
        ("{UNKNOWN(255)}", "ended with exit code 255"),
    ],
)
def test_an_exit_code_is_named(tmp_path, codes, how):
    death = Death.of(BrokenProcessPool(f"The exit codes of the workers are {codes}"), tmp_path / "absent", None)
    assert death == Death(f"the process computing it {how}", killed="SIGKILL" in codes)


def test_without_last_words_or_a_path_there_is_no_file(tmp_path):
    with watched(None, 60) as watch:
        assert watch.timed(lambda: os.listdir(tmp_path), "kind") == []
    with watched(tmp_path / "f", None) as watch:
        assert watch.timed(lambda: os.listdir(tmp_path), "kind") == ["f"]
        watch.note(0.5)
    assert os.listdir(tmp_path) == []
