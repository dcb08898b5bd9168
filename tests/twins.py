"""Points at which a function is compared with its twin, and the twin's derivatives by autograd."""

import torch

EDGE = 2**-53  # 1 - EDGE and 1 + 2 EDGE are the neighbours of 1
FAR = (1e-300, 1e-160, 1e-30, 1e-8, 1 - EDGE, 1 + 2 * EDGE, 38.0, 39.5, 41.0, 300.0, 700.0, 1e4, 1e100)
POINTS = torch.tensor([*(i / 40 for i in range(-1600, 1601)), -0.0, *FAR, *(-x for x in FAR)], dtype=torch.float64)


def derivatives(function, points):
    """The value, and by autograd the first and the second derivative, of an elementwise function."""
    x = points.clone().requires_grad_()
    value = function(x)
    (slope,) = torch.autograd.grad(value.sum(), x, create_graph=True)
    (second,) = torch.autograd.grad((slope + 0 * x).sum(), x)
    return value.detach(), slope.detach(), second


def jumps(function, orders):
    """Whether the value or one of the derivatives up to an order jumps at -1, 0 or 1, where pieces are joined."""
    joints = torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64)
    x = torch.cat([joints - 1e-7, joints + 1e-7]).requires_grad_()
    found = [function(x)]
    for _ in range(orders):
        found.append(torch.autograd.grad((found[-1] + 0 * x**4).sum(), x, create_graph=True)[0])
    return any(float((y[3:] - y[:3]).detach().abs().max()) > 1e-3 for y in found)


def hessian(loss, outputs, labels):
    """The derivatives [n, C] and the second derivatives [n, C, C], by autograd, of a loss of the outputs [n, C]."""
    f = outputs.clone().requires_grad_()
    (slope,) = torch.autograd.grad(loss(f, labels).sum(), f, create_graph=True)
    slope = slope + 0 * f
    rows = [torch.autograd.grad(slope[:, c].sum(), f, retain_graph=True)[0] for c in range(outputs.shape[1])]
    return slope.detach(), torch.stack(rows, 1)
