"""numba's cache on disk, for functions that depend on definitions in other files.

numba loads a function from its cache as long as the file that defines it is unchanged. The functions that it calls,
such as activations, and constants compiled into it may be defined in other files; here changes of these count too.
Where numba finds no folder that it may write to, such as in a container with a user without a home, the cache is a
folder for temporary files, or there is none: then every process compiles anew.
"""

from __future__ import annotations

import hashlib
import linecache
import os
import stat
import tempfile
import warnings
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import Any

import numba
from numba.core.caching import CompileResultCacheImpl, FunctionCache
from numba.core.registry import CPUDispatcher


def check_definitions() -> None:
    """Make numba recompile a function of this package when a definition that its module imports for it has changed.

    Applies to functions declared with cache=True after this call.
    """
    FunctionCache._impl_class = _Stamped
    CPUDispatcher.enable_caching = _enable_caching


def check_cache() -> None:
    """Choose another folder for this process and those that it starts if numba may not write to its own."""
    _enable_caching(numba.njit(check_cache))


def _enable_caching(function: CPUDispatcher) -> None:
    """Cache a function; one of this package elsewhere or not at all where numba would refuse it."""
    try:
        function._cache = FunctionCache(function.py_func)
    except RuntimeError:
        if not _is_ours(function.py_func):
            raise
        if _elsewhere() is not None:
            function._cache = FunctionCache(function.py_func)


@cache
def _elsewhere() -> str | None:
    """Return the folder that caches functions in place of numba's, None if there is none; said once."""
    folder = _temporary()
    how = f"cached in {folder}" if folder else "compiled anew in every process"
    warnings.warn(f"no folder for numba's cache can be written to: loops are {how}", stacklevel=2)
    if folder:
        os.environ["NUMBA_CACHE_DIR"] = numba.config.CACHE_DIR = folder
    return folder


def _temporary() -> str | None:
    """Return a folder of this user alone, as what lies in a cache is executed."""
    try:
        folder = Path(tempfile.gettempdir()) / f"featlearn-numba-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022:
            return str(folder)
        return tempfile.mkdtemp(prefix="featlearn-numba-")  # another user has taken the name
    except (OSError, AttributeError):  # Windows has no such user, and always a cache
        return None


def _is_ours(function: FunctionType) -> bool:
    return function.__module__.partition(".")[0] == __name__.partition(".")[0]


class _Stamped(CompileResultCacheImpl):  # type: ignore[misc]
    """Adds a hash of the definitions to numba's stamp of the source of a function of this package."""

    def __init__(self, function: FunctionType) -> None:
        super().__init__(function)
        if _is_ours(function):
            stamp = self.locator.get_source_stamp(), hash_of_definitions(function)
            self.locator.get_source_stamp = lambda: stamp


def hash_of_definitions(function: FunctionType) -> str:
    """Return the hash of the constants in a function's module and the files of its compiled functions, recursively."""
    found = dict[str, Any]()
    waiting = [function]
    while waiting:
        known = waiting.pop()
        for name, value in known.__globals__.items():
            if type(value) in (int, float):
                found[f"{known.__module__}.{name}"] = value
            elif isinstance(value, CPUDispatcher) and (file := value.py_func.__code__.co_filename) not in found:
                found[file] = linecache.getlines(file)
                waiting.append(value.py_func)
    return hashlib.sha256(repr(sorted(found.items())).encode()).hexdigest()
