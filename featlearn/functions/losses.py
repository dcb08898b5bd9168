"""The logistic loss of a margin y f, with its derivatives; none overflows at any margin."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def logistic(margin: Tensor) -> Tensor:
    """Return log(1 + exp(-margin)), elementwise."""
    return F.softplus(-margin, threshold=40.0)  # beyond 40 softplus(x) - x is below the last bit of x


def logistic_slope(margin: Tensor) -> Tensor:
    """Return the derivative -1 / (1 + exp(margin)), elementwise."""
    return -torch.sigmoid(-margin)


def logistic_bend(margin: Tensor) -> Tensor:
    """Return the second derivative 1 / (2 + 2 cosh(margin)), elementwise."""
    return torch.sigmoid(margin) * torch.sigmoid(-margin)


def mistakes(margin: Tensor) -> Tensor:
    """Return 1 where the margin is negative, 0 where it is positive; an undecided output counts one half; NaN stays."""
    return ((margin < 0).to(margin.dtype) + 0.5 * (margin == 0)).where(~margin.isnan(), margin)
