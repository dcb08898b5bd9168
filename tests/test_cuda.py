"""The same runs on a GPU: equal to the CPU within rounding. These skip themselves without a device."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import ROUTES, RULES, make_run

from featlearn.simulation import simulate_block

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]


@pytest.mark.parametrize("dtype, tolerance", [("float64", 1e-10), ("float32", 2e-3)])
@pytest.mark.parametrize(("rule", "engine"), ROUTES)
def test_cuda_agrees_with_the_cpu(rule, dtype, tolerance, engine):
    run = make_run(RULES[rule], dtype=dtype, engine=engine, network__bias=True, data__flip_prob=0.2)
    run = replace(run, train=replace(run.train, batch_size=3))
    (cpu,), (cuda,) = simulate_block([run]), simulate_block([run], device="cuda")
    assert cpu.status == cuda.status
    for name in ("train_loss", "grad_norm", "signal_coef_mean", "noise_coef_pos_mean", "test_error"):
        np.testing.assert_allclose(cuda.values[name], cpu.values[name], rtol=tolerance, atol=tolerance, err_msg=name)
