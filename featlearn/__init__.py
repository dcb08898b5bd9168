"""Exact, dimension-free simulation of feature learning in two-layer convolutional ReLU networks, with SGD and SAM.

Public names are loaded on first use: importing featlearn is fast and loads neither torch nor pandas.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from featlearn import plots, tables, theory
    from featlearn.calls import simulate
    from featlearn.config import ConfigError, load_config
    from featlearn.reports import report
    from featlearn.reruns import rerun
    from featlearn.store import load, load_arrow, merge, summary
    from featlearn.sweeps import sweep

__version__ = "0.1.0"
__all__ = [
    "ConfigError",
    "__version__",
    "load",
    "load_arrow",
    "load_config",
    "merge",
    "plots",
    "report",
    "rerun",
    "simulate",
    "summary",
    "sweep",
    "tables",
    "theory",
]

_HOMES = {
    "ConfigError": "config",
    "load_config": "config",
    "simulate": "calls",
    "load": "store",
    "load_arrow": "store",
    "merge": "store",
    "report": "reports",
    "rerun": "reruns",
    "summary": "store",
    "sweep": "sweeps",
}


def __getattr__(name: str) -> Any:
    """Load a public name from its module, and cache it."""
    if name not in __all__:
        raise AttributeError(f"module 'featlearn' has no attribute {name!r}")
    if name not in _HOMES:
        return import_module(f"featlearn.{name}")
    value = getattr(import_module(f"featlearn.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
