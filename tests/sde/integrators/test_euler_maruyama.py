"""The Euler-Maruyama step by hand; its orders: test_contract.py."""

import torch
from sde_orders import Plain

from featlearn.engines.vector import Vector
from featlearn.sde.integrators import EulerMaruyama


def test_a_step_by_hand():
    system = Plain(lambda x: -x * x, (lambda x: x, lambda x: 2 + 0 * x))
    w, dw = Vector((torch.tensor([[3.0], [1.0]]),)), torch.tensor([[0.5, 0.25], [-1.0, 0.5]])
    euler = EulerMaruyama()
    assert euler.step(system, w, 0.125, dw, None).leaves[0].tolist() == [[3 - 1.125 + 1.5 + 0.5], [1 - 0.125 - 1 + 1]]
    assert euler.step(system, w, 0.125, None, None).leaves[0].tolist() == [[3 - 1.125], [1 - 0.125]]
