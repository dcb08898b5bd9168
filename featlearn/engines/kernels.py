"""The hot loops of the Gram engine on a CPU, each one pass over memory (numba).

gram.py holds the same formulas as plain batched torch, and a test holds the two equal. Every loop treats one run at a
time, so that a run's bits do not depend on the others of its block.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from featlearn.models.kernels import slope, value

Array = NDArray[Any]


@njit(cache=True, error_model="numpy")
def gradient_coef(
    align: Array,
    labels: Array,
    true_labels: Array,
    batch: Array,
    coef: Array,
    kind: int,
    scale: float,
    noise_count: int,
    n_noises: int,
    bias: bool,
) -> None:
    """Write the coefficients [b, f, k] of the gradient at the alignments [b, f, k] into ``coef``.

    See GramEngine.gradient for the formula; ``kind`` is the activation's number in KINDS.
    """
    b, f, k = align.shape
    n = labels.shape[1]
    noise_part, c = np.empty(n, align.dtype), np.empty(n, align.dtype)
    for lane in range(b):
        plus, minus = 0.0, 0.0  # the filters' sum on +signal and on -signal
        noise_part[:] = 0.0
        for r in range(f):
            sign = 1.0 if 2 * r < f else -1.0
            shift = align[lane, r, k - 1] if bias else 0.0
            plus += sign * value(kind, shift + align[lane, r, 0])
            minus += sign * value(kind, shift - align[lane, r, 0])
            for start in range(1, 1 + n_noises, n):
                row = align[lane, r, start : start + n]
                for i in range(n):
                    noise_part[i] += sign * value(kind, row[i] + shift)
        c_plus, c_minus = 0.0, 0.0
        for i in range(n):
            positive = true_labels[lane, i] > 0
            f_i = scale * ((plus if positive else minus) + noise_count * noise_part[i])
            y = labels[lane, i]
            c[i] = -scale * batch[lane, i] * y / (1.0 + math.exp(y * f_i))
            if positive:
                c_plus += c[i]
            else:
                c_minus += c[i]
        for r in range(f):
            sign = 1.0 if 2 * r < f else -1.0
            shift = align[lane, r, k - 1] if bias else 0.0
            on_plus = sign * slope(kind, shift + align[lane, r, 0]) * c_plus
            on_minus = sign * slope(kind, shift - align[lane, r, 0]) * c_minus
            coef[lane, r, 0] = on_plus - on_minus
            total = on_plus + on_minus
            for start in range(1, 1 + n_noises, n):
                row, target = align[lane, r, start : start + n], coef[lane, r, start : start + n]
                for i in range(n):
                    target[i] = sign * noise_count * slope(kind, row[i] + shift) * c[i]
                if bias:
                    for i in range(n):
                        total += target[i]
            if bias:
                coef[lane, r, k - 1] = total


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def product(coef: Array, gram: Array, out: Array) -> None:
    """Write coef @ gram, [b, f, k] @ [b, k, k], into ``out``; two filters share a pass (f = 2m is even)."""
    b, f, k = coef.shape
    first, second = np.empty(k, coef.dtype), np.empty(k, coef.dtype)
    for lane in range(b):
        for r in range(0, f, 2):
            first[:] = 0.0
            second[:] = 0.0
            for j in range(k):
                x, y, row = coef[lane, r, j], coef[lane, r + 1, j], gram[lane, j]
                for i in range(k):
                    first[i] += x * row[i]
                    second[i] += y * row[i]
            out[lane, r] = first
            out[lane, r + 1] = second


@njit(cache=True, error_model="numpy", fastmath={"reassoc", "contract"})
def inner(
    alpha_u: Array,
    coef_u: Array,
    alpha_v: Array,
    coef_v: Array,
    align_v: Array,
    align0: Array,
    square0: Array,
    out: Array,
) -> None:
    """Write <u, v> of every run into ``out`` [b]; see GramEngine.inner."""
    for lane in range(len(out)):
        a, b = coef_u[lane].ravel(), align_v[lane].ravel()
        total = 0.0
        for i in range(len(a)):
            total += a[i] * b[i]
        if alpha_u[lane] != 0.0:
            a, b = coef_v[lane].ravel(), align0[lane].ravel()
            with_init = 0.0
            for i in range(len(a)):
                with_init += a[i] * b[i]
            total += alpha_u[lane] * (alpha_v[lane] * square0[lane] + with_init)
        out[lane] = total
