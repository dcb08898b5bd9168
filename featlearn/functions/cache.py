"""numba's cache on disk, for functions that call what other files define.

numba takes a function from its cache as long as the file that defines the function is unchanged. What it calls, such as
the formulas of the activations, may stand in other files: those count here too.
"""

from __future__ import annotations

import hashlib
import linecache
from types import FunctionType
from typing import Any

from numba.core.caching import CompileResultCacheImpl
from numba.core.registry import CPUDispatcher


def check_definitions() -> None:
    """Let numba compile a function of this package anew when the text of what its module imports has changed.

    It concerns the functions that are declared, with cache=True, after this call.
    """
    known = CompileResultCacheImpl._locator_classes
    if not any(issubclass(locator, _Definitions) for locator in known):
        ours = [type(locator.__name__, (_Definitions, locator), {}) for locator in known]
        CompileResultCacheImpl._locator_classes = [*ours, *known]


class _Definitions:
    """Adds the hash of the definitions to the stamp by which numba knows what a function was compiled from."""

    def __init__(self, function: FunctionType, file: str) -> None:
        super().__init__(function, file)  # type: ignore[call-arg]
        self.function = function

    def get_source_stamp(self) -> Any:
        """Return what has to be equal for the cache to be used."""
        return super().get_source_stamp(), _hash_of(self.function)  # type: ignore[misc]

    @classmethod
    def from_function(cls, function: FunctionType, file: str) -> Any:
        """Return the place of a function's cache; None for functions of others."""
        ours = function.__module__.partition(".")[0] == __name__.partition(".")[0]
        return super().from_function(function, file) if ours else None  # type: ignore[misc]


def _hash_of(function: FunctionType) -> str:
    files = set[str]()
    _add_files(function, files)
    texts = ["".join(linecache.getlines(file)) for file in sorted(files)]
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def _add_files(function: FunctionType, files: set[str]) -> None:
    """Add the files of the compiled functions that a function's module knows, and of those that these know."""
    for known in [*function.__globals__.values()]:
        if isinstance(known, CPUDispatcher) and (file := known.py_func.__code__.co_filename) not in files:
            files.add(file)
            _add_files(known.py_func, files)
