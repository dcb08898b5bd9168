"""A cached function whose formula is defined in another file, declared anew as in a new process."""

import sys
from importlib.util import module_from_spec, spec_from_file_location

import numpy as np

from featlearn.functions import compiled

TEXT = """
from numba import njit
from featlearn.functions.compiled import NUMBER, called

@njit(cache=True)
def caller(z, out):
    called(0, z, out)
    out[0] += NUMBER
"""


def declare(path, formula, number=1, module="featlearn.caller"):
    """The function of the module, whose file at ``path`` has TEXT."""
    lines = compiled._at_points(formula, "out[i] = {0}")
    compiled.called = compiled._function("called", "points, out", "out.dtype.type", "activation", [lines])
    compiled.NUMBER = number
    spec = spec_from_file_location(module, path)
    sys.modules[module] = module_from_spec(spec)
    spec.loader.exec_module(sys.modules[module])
    return sys.modules[module].caller


def outcome(caller):
    """The result at z = 3, and whether it comes from the cache."""
    out = np.empty(1)
    caller(np.array([3.0]), out)
    return float(out[0]), bool(caller.stats.cache_hits)
