"""A cached function is recompiled only when a function that it calls has changed, in another file or as a formula."""

import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import cached_caller
import numba
import pytest
from cached_caller import outcome
from numba.core.caching import UserProvidedCacheLocator

from featlearn.functions import cache, compiled

SQUARE, CUBE = "z * z", "z * z * z"


@pytest.fixture
def declare(tmp_path, monkeypatch):
    """Declares the caller of a formula anew; its file never changes."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))
    for name in ("called", "NUMBER"):
        monkeypatch.setattr(compiled, name, None, raising=False)
    for module in ("featlearn.caller", "caller"):
        monkeypatch.setitem(sys.modules, module, None)
    (tmp_path / "caller.py").write_text(cached_caller.TEXT)
    return partial(cached_caller.declare, str(tmp_path / "caller.py"))


def test_an_edited_formula_is_compiled_anew(declare):
    assert outcome(declare(SQUARE)) == (10.0, False)
    assert outcome(declare(SQUARE)) == (10.0, True)
    assert outcome(declare(CUBE)) == (28.0, False)
    assert outcome(declare(CUBE, number=2)) == (29.0, False)
    assert outcome(declare(CUBE, number=2)) == (29.0, True)


def test_without_the_stamp_it_is_stale(declare):
    """Negative control: numba's own stamp, which functions of others keep."""
    assert outcome(declare(SQUARE, module="caller")) == (10.0, False)
    assert outcome(declare(CUBE, module="caller")) == (10.0, True)


def test_the_stamp_is_that_of_the_called_functions(declare):
    stamps = [cache.hash_of_definitions(declare(*of).py_func) for of in ((SQUARE,), (SQUARE,), (CUBE,), (CUBE, 2))]
    assert stamps[0] == stamps[1] and len({*stamps}) == 3


def test_another_process_loads_the_compiled_function(declare, tmp_path):
    assert outcome(declare(SQUARE)) == (10.0, False)
    folders = [Path(cache.__file__).parents[2], Path(cached_caller.__file__).parent]
    own = {"NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": os.pathsep.join(map(str, folders))}
    code = "import sys; from cached_caller import *; print(*outcome(declare(*sys.argv[1:])))"
    command = [sys.executable, "-c", code, str(tmp_path / "caller.py"), SQUARE]
    done = subprocess.run(command, env=os.environ | own, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["10.0", "True"]


@pytest.fixture
def unwritable(tmp_path, monkeypatch):
    """No locator of numba finds a folder; the folder for temporary files is empty."""
    monkeypatch.setattr(cache._Stamped, "_locator_classes", [UserProvidedCacheLocator])
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    monkeypatch.setenv("NUMBA_CACHE_DIR", "")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    cache._elsewhere.cache_clear()
    yield tmp_path
    cache._elsewhere.cache_clear()


def test_without_a_folder_that_can_be_written_to_the_cache_is_a_temporary_one_and_it_is_said_once(unwritable):
    folder = unwritable / f"featlearn-numba-{os.getuid()}"
    with pytest.warns(UserWarning, match=f"loops are cached in {folder}") as said:
        cache.check_cache()
        cache.check_cache()
    assert len(said) == 1 and os.environ["NUMBA_CACHE_DIR"] == str(folder)
    assert folder.stat().st_mode & 0o077 == 0


def test_a_folder_that_others_can_write_to_is_not_trusted(unwritable):
    taken = unwritable / f"featlearn-numba-{os.getuid()}"
    taken.mkdir()
    taken.chmod(0o777)
    with pytest.warns(UserWarning, match=f"loops are cached in {taken.parent}/featlearn-numba-") as said:
        cache.check_cache()
    assert not str(said[0].message).endswith(str(taken))


def test_without_any_folder_there_is_no_cache(unwritable, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(unwritable / "absent"))
    with pytest.warns(UserWarning, match="compiled anew in every process"):
        cache.check_cache()


def test_functions_of_others_are_refused_as_ever(unwritable):
    with pytest.raises(RuntimeError, match="no locator available"):
        numba.njit(cache=True)(outcome)
