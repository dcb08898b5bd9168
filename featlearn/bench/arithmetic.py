"""The arithmetic limit of training: the necessary operations of a step at the machine's rate of products.

With f = 2m filters, k = n + 1 data vectors and shared noise; additions, multiplications, maxima and comparisons count
one each:

    gradient    the product D G                                                            2 f k^2
                activations, their sum over filters, slopes, slopes times the loss's slope    4 f k
    SGD step    a gradient, and C -= lr D, A -= lr D G                                        4 f k
    SAM step    two gradients, <D, D G>, A + (rho / |g|) D G, and the same two updates        8 f k

The n exponentials of a gradient are not counted; they are about one percent.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from featlearn.bench.measure import Timing, interleave
from featlearn.bench.networks import RULES, DType, compute, network
from featlearn.bench.setting import Setting
from featlearn.environment import fresh_environment
from featlearn.simulation import lanes

LARGE = {"cpu": 1024, "cuda": 8192}  # size of the large products
SMALL_COUNT, LARGE_COUNT = 20, 2  # products per round


def step_flops(rule: str, n_samples: int, n_filters: int) -> int:
    """Return the operations of one step of one network."""
    f, k = 2 * n_filters, n_samples + 1
    gradient = 2 * f * k**2 + 4 * f * k
    return 2 * gradient + 8 * f * k if rule == "sam" else gradient + 4 * f * k


def product_flops(b: int, f: int, k: int) -> int:
    """Return the operations of b products [f, k] x [k, k]."""
    return 2 * b * f * k**2


def limit(setting: Setting) -> list[dict[str, Any]]:
    """Return, for every rule and precision, the time of a training step over its arithmetic limit."""
    dtypes: tuple[DType, ...] = ("float64", "float32")
    with fresh_environment():
        return [_distance(rule, dtype, setting) for dtype in dtypes for rule in RULES]


def _distance(rule: str, dtype: DType, setting: Setting) -> dict[str, Any]:
    """Time training at two lengths, which differ in steps only, and products of its shape and large ones."""
    short, long = (network(rule, n_steps=n, n_tests=0, dtype=dtype) for n in (setting.n_steps, 3 * setting.n_steps))
    b, f, k = lanes(short, setting.device), 2 * short.network.n_filters, short.data.n_samples + 1
    size = LARGE[setting.device]
    taken = interleave(
        {
            "short": partial(compute, short, setting.device),
            "long": partial(compute, long, setting.device),
            "small": _products(b, f, k, dtype, setting.device, SMALL_COUNT),
            "large": _products(1, size, size, dtype, setting.device, LARGE_COUNT),
        },
        setting.repeats,
        setting.device,
    )
    differences = zip(taken["long"].seconds, taken["short"].seconds, strict=True)
    step = Timing(tuple(a - b for a, b in differences)).per(2 * setting.n_steps * b)
    flops = step_flops(rule, short.data.n_samples, short.network.n_filters)
    small, large = SMALL_COUNT * product_flops(b, f, k), LARGE_COUNT * product_flops(1, size, size)
    least = taken["small"].per(small / flops)
    return {
        "rule": rule,
        "dtype": dtype,
        "block": b,
        "flops": flops,
        "distance": step.over(least),
        "step_seconds": step.summary(),
        "limit_seconds": least.summary(),
        "small_product_rate": small / taken["small"].median,
        "large_product_rate": large / taken["large"].median,
    }


def _products(b: int, f: int, k: int, dtype: DType, device: str, count: int) -> Callable[[int], None]:
    """Return a function that multiplies b matrices [f, k] x [k, k] ``count`` times, into preallocated memory."""
    like: dict[str, Any] = {"dtype": getattr(torch, dtype), "device": device}
    left, right, out = torch.randn(b, f, k, **like), torch.randn(b, k, k, **like), torch.empty(b, f, k, **like)

    def multiply(number: int) -> None:
        for _ in range(count):
            torch.bmm(left, right, out=out)

    return multiply
