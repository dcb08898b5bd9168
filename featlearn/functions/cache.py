"""numba's cache on disk, for functions that depend on definitions in other files.

numba loads a function from its cache as long as the file that defines it is unchanged. The functions that it calls,
such as activations, and constants compiled into it may be defined in other files; here changes of these count too.
"""

from __future__ import annotations

import hashlib
import linecache
from types import FunctionType
from typing import Any

from numba.core.caching import CompileResultCacheImpl, FunctionCache
from numba.core.registry import CPUDispatcher


def check_definitions() -> None:
    """Make numba recompile a function of this package when a definition that its module imports for it has changed.

    Applies to functions declared with cache=True after this call.
    """
    FunctionCache._impl_class = _Stamped


class _Stamped(CompileResultCacheImpl):  # type: ignore[misc]
    """Adds a hash of the definitions to numba's stamp of the source of a function of this package."""

    def __init__(self, function: FunctionType) -> None:
        super().__init__(function)
        if function.__module__.partition(".")[0] == __name__.partition(".")[0]:
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
