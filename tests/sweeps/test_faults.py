"""The last words of a process, and what they and its exit code say."""

import os
import signal
import subprocess
import sys

import pytest
from joblib.externals.loky.process_executor import BrokenProcessPool

from featlearn.sweeps.faults import Death, watched

WATCHED = """
import pathlib, sys, time
from featlearn.pace import COMPILING
from featlearn.sweeps.faults import watched

with watched(pathlib.Path(sys.argv[1]), float(sys.argv[2])) as watch:
    with watch.limited():
        {}
    print("in time")
"""


def run(code, path, limit):
    command = [sys.executable, "-c", WATCHED.format(code), str(path), str(limit)]
    return subprocess.run(command, capture_output=True, text=True)


def test_a_process_that_exceeds_its_limit_ends_and_leaves_its_traceback(tmp_path):
    done = run("time.sleep(60)", tmp_path / "f", 0.1)
    assert done.returncode == 1 and done.stdout == done.stderr == ""
    death = Death.of(BrokenProcessPool("{EXIT(1)}"), tmp_path / "f", 0.1)
    assert death.late and death.reason == "it took longer than the time limit of 0.1 s"
    assert "line 8 in <module>" in death.words and not (tmp_path / "f").exists()


def test_compilation_does_not_count_and_what_follows_does(tmp_path):
    compiling = "watch.note(COMPILING); time.sleep(.6); watch.note(COMPILING); watch.note(0.5)"
    assert run(compiling, tmp_path / "f", 0.5).stdout == "in time\n" and not (tmp_path / "f").exists()
    assert run(f"{compiling}; time.sleep(60)", tmp_path / "f", 0.5).stdout == ""


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
    with watched(None, 60) as watch, watch.limited():
        assert os.listdir(tmp_path) == []
    with watched(tmp_path / "f", None) as watch, watch.limited():
        assert os.listdir(tmp_path) == ["f"]
        watch.note(0.5)
    assert os.listdir(tmp_path) == []
