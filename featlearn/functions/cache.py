"""numba's cache on disk, for functions that use what other files define.

numba takes a function from its cache as long as the file that defines the function is unchanged. What it calls, such as
the formulas of the activations, and the numbers compiled into it may stand in other files: those count here too.
"""

from __future__ import annotations

import hashlib
import linecache
from types import FunctionType
from typing import Any

from numba.core.caching import CompileResultCacheImpl, FunctionCache
from numba.core.registry import CPUDispatcher


def check_definitions() -> None:
    """Let numba compile a function of this package anew when what its module imports for compiled code has changed.

    It concerns the functions that are declared, with cache=True, after this call.
    """
    FunctionCache._impl_class = _Stamped


class _Stamped(CompileResultCacheImpl):  # type: ignore[misc]
    """Adds the definitions to the stamp by which numba knows what a function of this package was compiled from."""

    def __init__(self, function: FunctionType) -> None:
        super().__init__(function)
        if function.__module__.partition(".")[0] == __name__.partition(".")[0]:
            stamp = self.locator.get_source_stamp(), hash_of_definitions(function)
            self.locator.get_source_stamp = lambda: stamp


def hash_of_definitions(function: FunctionType) -> str:
    """Return the hash of the numbers that a function's module knows, its compiled functions' files, and theirs."""
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
