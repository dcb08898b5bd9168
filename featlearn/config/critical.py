"""Whether a run starts at a critical point of its loss: there is no gradient to follow or to normalize."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from featlearn.custom import FAILURES
from featlearn.data import has_patches
from featlearn.functions import activation
from featlearn.models import Landscape

NEAR = 1e-5  # of a critical point, in the parameters: pi is often given as 3.14159
MOST = 2**22  # samples times parameters, up to which the gradient is computed


@lru_cache(maxsize=1024)  # the runs of a sweep share their start
def starts_at_rest(network: Any, data: Any, seed: int) -> bool:
    """Return whether the run ``seed`` starts at a critical point, or within NEAR of one; False if it is too large.

    The step of Newton's method along the gradient, |g|^2 / |H g|, estimates the distance. Imports torch.
    """
    if isinstance(network, Landscape):
        try:
            return network.n_parameters(data) * data.n_samples <= MOST and _at_rest(network, data, seed)
        except FAILURES:
            return False  # reported when it is run: data that are not installed
    return has_patches(data) and network.init_std == 0 and _flat_at_zero(network)


def _at_rest(landscape: Landscape, data: Any, seed: int) -> bool:
    import torch

    leaves = tuple(torch.as_tensor(leaf).double().requires_grad_() for leaf in landscape.initial(seed, data))
    given = tuple(torch.as_tensor(array) for array in landscape.given(seed, data))
    loss = landscape.losses(leaves, given).mean()
    g = torch.autograd.grad(loss, leaves, create_graph=True, materialize_grads=True)
    square = sum(leaf.square().sum() for leaf in g)
    if not (isinstance(square, torch.Tensor) and square.requires_grad):
        return not square
    bent = torch.autograd.grad(square / 2, leaves, materialize_grads=True)  # H g
    return bool(square <= NEAR * torch.cat([leaf.flatten() for leaf in bent]).norm())


def _flat_at_zero(network: Any) -> bool:
    """Return whether zero weights give no gradient, whatever the data."""
    import torch

    act, zero = activation(network.activation), torch.zeros((), dtype=torch.float64)
    return not act.slope(zero) and not (network.trained and act.value(zero))
