"""The kernels compile without a GPU, and their state stays on chip."""

import json
import os
import subprocess
import sys

import pytest

from featlearn.bench.compiled import longest_loop

pytest.importorskip("triton")

CASES = """
import json
from dataclasses import replace
from featlearn.bench.compiled import compiled, launch_of
from featlearn.bench.networks import network
from featlearn.optim import SAM, SGD, WSAM
found = {}
for dtype in ("float32", "float64"):
    run = network(dtype=dtype)
    heavy = SAM(rho=0.1, base=SGD(lr=0.1, momentum=0.9, weight_decay=0.1))
    with_bias = replace(run.network, activation="softplus", bias=True)
    wsam = WSAM(rho=0.1, gamma=0.8, base=SGD(lr=0.1))
    other = replace(run, data=replace(run.data, noise="independent"), optimizer=wsam)
    found[f"sgd {dtype}"] = compiled(launch_of(network("sgd", dtype=dtype)))
    found[f"sam {dtype}"] = compiled(launch_of(run, level=0.01))
    found[f"heavy {dtype}"] = compiled(launch_of(replace(run, optimizer=heavy, network=with_bias), level=0.01))
    found[f"other {dtype}"] = compiled(launch_of(other))
    both = replace(run.network, loss="softmax", second_layer="trained")
    found[f"both layers {dtype}"] = compiled(launch_of(replace(run, network=both), level=0.01))
print(json.dumps(found))
"""


def test_they_compile_and_stay_on_chip():
    """In a separate process: Triton does not compile after it has been imported for its interpreter."""
    env = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    done = subprocess.run([sys.executable, "-c", CASES], capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert len(found) == 10
    for name, case in found.items():
        assert 32 < case["registers"] <= 255, name
        assert case["spilled bytes"] <= (32 if "float32" in name else 1800), name
        assert case["instructions"] > 500, name
    for dtype in ("float32", "float64"):
        gradients = found[f"sam {dtype}"]["instructions"] / found[f"sgd {dtype}"]["instructions"]
        assert 1.5 < gradients < 3  # two of them, and the loss that is recorded


def test_the_longest_loop_is_counted():
    code = """
.L_x_0:
        /*0000*/                   MOV R1, c[0x0][0x28] ;
.L_x_1:
        /*0010*/                   FADD R2, R2, R3 ;
        /*0020*/                   FADD R2, R2, R3 ;
        /*0030*/              @P0 BRA `(.L_x_1) ;
.L_x_2:
        /*0040*/                   FADD R2, R2, R3 ;
        /*0050*/              @P0 BRA `(.L_x_2) ;
        /*0060*/               @P1 EXIT ;
        /*0070*/                   BRA `(.L_x_9) ;
.L_x_9:
        /*0080*/                   EXIT ;
        /*0090*/                   WARPSYNC.COLLECTIVE R19, `(.L_x_31) ;
        /*00a0*/                   BRA `(.L_x_1) ;
"""
    assert longest_loop(code) == 3
