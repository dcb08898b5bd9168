"""A cached function is compiled anew when what it calls has changed, in another file or as a formula, and only then."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

from featlearn.functions import cache, compiled

CALLER = """
from numba import njit

@njit(cache=True)
def caller(z, out):
    called(0, z, out)
    out[0] += NUMBER
"""
SQUARE, CUBE = "z * z", "z * z * z"


@pytest.fixture
def declare(tmp_path, monkeypatch):
    """Declares the cached caller of a formula anew, as a new process would do; the caller's file never changes."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))
    path = tmp_path / "caller.py"
    path.write_text(CALLER)

    def declared(formula, number=1, module="featlearn.caller"):
        lines = compiled._at_points(formula, "out[i] = {0}")
        called = compiled._function("called", "points, out", "out.dtype.type", "activation", [lines])
        return runpy.run_path(str(path), {"called": called, "NUMBER": number}, module)["caller"]

    return declared


def outcome(caller):
    """The result at z = 3, and whether it comes from the cache."""
    out = np.empty(1)
    caller(np.array([3.0]), out)
    return out[0], bool(caller.stats.cache_hits)


def test_an_edited_formula_is_compiled_anew(declare):
    assert outcome(declare(SQUARE)) == (10.0, False)
    assert outcome(declare(SQUARE)) == (10.0, True)
    assert outcome(declare(CUBE)) == (28.0, False)
    assert outcome(declare(CUBE, number=2)) == (29.0, False)
    assert outcome(declare(CUBE, number=2)) == (29.0, True)


def test_without_the_stamp_it_is_stale(declare, monkeypatch):
    """Negative control: numba's own stamp, which others' functions keep."""
    assert outcome(declare(SQUARE, module="others")) == (10.0, False)
    assert outcome(declare(CUBE, module="others")) == (10.0, True)


def test_the_stamp_is_that_of_what_is_called(declare):
    stamps = [cache.hash_of_definitions(declare(*of).py_func) for of in ((SQUARE,), (SQUARE,), (CUBE,), (CUBE, 2))]
    assert stamps[0] == stamps[1] and len({*stamps}) == 3


ELSEWHERE = """
import runpy, sys
import numpy as np
from featlearn.functions import compiled

lines = compiled._at_points(sys.argv[2], "out[i] = {0}")
called = compiled._function("called", "points, out", "out.dtype.type", "activation", [lines])
caller = runpy.run_path(sys.argv[1], {"called": called, "NUMBER": 1}, "featlearn.caller")["caller"]
out = np.empty(1)
caller(np.array([3.0]), out)
print(out[0], bool(caller.stats.cache_hits))
"""


def test_another_process_loads_what_this_one_compiled(declare, tmp_path):
    assert outcome(declare(SQUARE)) == (10.0, False)
    own = {"NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": str(Path(cache.__file__).parents[2])}
    command = [sys.executable, "-c", ELSEWHERE, str(tmp_path / "caller.py"), SQUARE]
    done = subprocess.run(command, env=os.environ | own, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["10.0", "True"]
