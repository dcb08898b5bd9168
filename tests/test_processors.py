"""Numbers on other processors: instruction sets switched off in a process of its own.

The bits may differ, since products are summed in another order; after 60 steps every column agrees to 1e-12, relative
to the largest of its numbers, but for average_sharpness, a difference quotient, which agrees to 1e-10.
"""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from processor_runs import found

KINDS = {  # of torch, its matrix products, numpy's, and numba's code
    "AVX2": {
        "ATEN_CPU_CAPABILITY": "avx2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "OPENBLAS_CORETYPE": "Haswell",
        "NUMBA_CPU_NAME": "haswell",
        "NUMBA_CPU_FEATURES": "",
    },
    "no AVX": {
        "ATEN_CPU_CAPABILITY": "default",
        "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
        "OPENBLAS_CORETYPE": "Nehalem",
        "NUMBA_CPU_NAME": "x86-64-v2",
        "NUMBA_CPU_FEATURES": "",
    },
}

pytestmark = [
    pytest.mark.skipif(platform.machine() != "x86_64", reason="these are its instruction sets"),
    pytest.mark.skipif("FEATLEARN_FUZZ" not in os.environ, reason="make soak: compiles for minutes"),
]


@pytest.mark.parametrize("engine", ["weights", "gram"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_column_agrees_across_instruction_sets(kind, engine, tmp_path):
    here = found(engine)
    script = Path(__file__).with_name("processor_runs.py")
    path = os.pathsep.join([str(script.parent), str(script.parents[1])])
    environment = os.environ | KINDS[kind] | {"PYTHONPATH": path, "NUMBA_CACHE_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, str(script), engine], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    there = json.loads(done.stdout)
    assert here.keys() == there.keys()
    apart = {name: distance(np.array(here[name]), np.array(there[name])) for name in here}
    assert {name: x for name, x in apart.items() if x > tolerance(name)} == {}
    if kind == "no AVX":
        assert any(apart.values())  # or nothing was switched off


def tolerance(name):
    return 1e-10 if "average_sharpness" in name else 1e-12


def distance(a, b):
    """The largest difference, relative to the largest number; infinite where only one is a number."""
    if not np.array_equal(np.isnan(a), np.isnan(b)):
        return np.inf
    a, b = np.nan_to_num(a), np.nan_to_num(b)
    return float(np.abs(a - b).max() / max(np.abs(a).max(), 1e-300))
