"""The formulas of the Gram engine in Triton, for a GPU; span/engine.py has the same in plain torch.

One program trains one run, whose matrices stay in registers. They are padded with zeros to powers of two: F rows of
filters, P columns of distinct patches, N samples, C outputs, of which f, k, n and c are used. ACTIVATION and LOSS are
names in functions/; functions/device.py has their formulas.
"""

from __future__ import annotations

import triton
import triton.language as tl

from featlearn.functions.device import log1p, loss_slope, loss_value, slope, value


@triton.jit
def load_matrix(pointer, number, n_rows: tl.constexpr, n_columns: tl.constexpr, R: tl.constexpr, C: tl.constexpr):
    """Return matrix ``number`` of a stack [., n_rows, n_columns], padded with zeros to [R, C]."""
    row, column = tl.arange(0, R)[:, None], tl.arange(0, C)[None, :]
    inside = (row < n_rows) & (column < n_columns)
    return tl.load(pointer + (number * n_rows + row) * n_columns + column, mask=inside, other=0.0)


@triton.jit
def store_matrix(
    pointer, number, matrix, n_rows: tl.constexpr, n_columns: tl.constexpr, R: tl.constexpr, C: tl.constexpr
):
    """Write a matrix back to where ``load_matrix`` finds it."""
    row, column = tl.arange(0, R)[:, None], tl.arange(0, C)[None, :]
    inside = (row < n_rows) & (column < n_columns)
    tl.store(pointer + (number * n_rows + row) * n_columns + column, matrix, mask=inside)


@triton.jit
def load_samples(pointer, number, n: tl.constexpr, N: tl.constexpr):
    """Return row ``number`` of a matrix [., n], padded with zeros to [N]."""
    sample = tl.arange(0, N)
    return tl.load(pointer + number * n + sample, mask=sample < n, other=0.0)


@triton.jit
def load_incidence(shown, times, lane, n: tl.constexpr, n_slots: tl.constexpr, P: tl.constexpr, N: tl.constexpr):
    """Return how often each sample shows each patch, [P, N], from the patch and the count in every slot."""
    patch, sample = tl.arange(0, P)[:, None], tl.arange(0, N)[None, :]
    shows = tl.zeros([P, N], times.dtype.element_ty)
    for slot in range(n_slots):
        in_slot = tl.load(shown + (lane * n + sample) * n_slots + slot, mask=sample < n, other=-1)
        shows += tl.where(in_slot == patch, tl.load(times + slot), 0.0)
    return shows


@triton.jit
def column_of(matrix, number):
    """Return one column as [R]."""
    C: tl.constexpr = matrix.shape[1]
    return tl.sum(tl.where(tl.arange(0, C)[None, :] == number, matrix, 0.0), 1)


@triton.jit
def outputs(hidden, second, shows, scale, c: tl.constexpr):
    """Return F_i, [N, C], from the activations [F, P] and the second layer [F, C]."""
    N: tl.constexpr = shows.shape[1]
    C: tl.constexpr = second.shape[1]
    found = tl.zeros([N, C], hidden.dtype)
    for j in tl.static_range(c):
        of_patches = tl.sum(column_of(second, j)[:, None] * hidden, 0)
        # patches of other samples may give infinite activations
        of_samples = scale * tl.sum(tl.where(shows > 0, shows * of_patches[:, None], 0.0), 0)
        found = tl.where(tl.arange(0, C)[None, :] == j, of_samples[:, None], found)
    return found


@triton.jit
def gradient(
    align,
    second,
    labels,
    shows,
    scale,
    batch,
    gram,
    f: tl.constexpr,
    c: tl.constexpr,
    ACTIVATION: tl.constexpr,
    LOSS: tl.constexpr,
):
    """Return coefficients and alignments of the gradient, both [F, P], and that of the second layer, [F, C]."""
    hidden = value(align, ACTIVATION)
    slopes = scale * batch[:, None] * slopes_of(outputs(hidden, second, shows, scale, c), labels, c, LOSS)
    coef, into_second = tl.zeros_like(align), tl.zeros_like(second)
    row, output = tl.arange(0, second.shape[0])[:, None], tl.arange(0, second.shape[1])[None, :]
    for j in tl.static_range(c):
        share = tl.sum(shows * column_of(slopes, j)[None, :], 1)
        coef += column_of(second, j)[:, None] * (slope(align, ACTIVATION) * share[None, :])
        one = tl.sum(hidden * share[None, :], 1)[:, None]
        into_second = tl.where((output == j) & (row < f), one, into_second)  # the activation of padding need not be 0
    return coef, tl.dot(coef, gram, input_precision="ieee", out_dtype=coef.dtype), into_second


@triton.jit
def mean_loss(
    align,
    second,
    labels,
    shows,
    scale,
    n: tl.constexpr,
    c: tl.constexpr,
    ACTIVATION: tl.constexpr,
    LOSS: tl.constexpr,
):
    """Return the loss on the whole training set."""
    N: tl.constexpr = shows.shape[1]
    found = outputs(value(align, ACTIVATION), second, shows, scale, c)
    return tl.sum(tl.where(tl.arange(0, N) < n, losses_of(found, labels, c, LOSS), 0.0)) / n


@triton.jit
def slopes_of(outputs, labels, c: tl.constexpr, LOSS: tl.constexpr):
    """Return the derivatives of the samples' losses in their outputs, [N, C]."""
    if LOSS == "softmax":
        own, below = parts_of_classes(outputs, labels, c)
        others = tl.where(own, 0.0, tl.exp(below) / tl.sum(tl.exp(below), 1)[:, None])
        return tl.where(own, -tl.sum(others, 1)[:, None], others)
    else:
        return loss_slope(outputs, labels[:, None], LOSS)


@triton.jit
def losses_of(outputs, labels, c: tl.constexpr, LOSS: tl.constexpr):
    """Return the losses of the samples, [N]."""
    if LOSS == "softmax":
        own, below = parts_of_classes(outputs, labels, c)
        top = tl.arange(0, outputs.shape[1])[None, :] == tl.argmax(below, 1)[:, None]
        others = tl.sum(tl.where(top, 0.0, tl.exp(below)), 1)
        return log1p(others) - tl.sum(tl.where(own, below, 0.0), 1)
    else:
        return tl.sum(loss_value(outputs, labels[:, None], LOSS), 1)


@triton.jit
def parts_of_classes(outputs, labels, c: tl.constexpr):
    """Return the one-hot right class, and every output minus the largest one; -inf for padding."""
    place = tl.arange(0, outputs.shape[1])[None, :]
    padded = tl.where(place < c, outputs, float("-inf"))
    return place == labels[:, None], padded - tl.max(padded, 1)[:, None]


@triton.jit
def is_finite(coef, align, others):
    """Return whether the numbers are finite and the sum of their squares and ``others``, a sum of squares, is."""
    return tl.sum(coef * coef + align * align) + others < float("inf")


@triton.jit
def inverse_root(square):
    """Return 1 / sqrt(square), 0 where that is not a positive number."""
    inverse = 1 / tl.sqrt(square)
    return tl.where((square > 0) & (inverse < float("inf")), inverse, 0.0)


@triton.jit
def root(x):
    """Return the square root of x, 0 where x < 0."""
    return tl.sqrt(tl.where(x < 0, 0.0, x))


@triton.jit
def ratio(a, b):
    """Return a / b, 0 where b is not a positive number."""
    usable = (b > 0) & (b < float("inf"))
    return tl.where(usable, a / tl.where(usable, b, 1.0), 0.0)


@triton.jit
def exceeds(a, b):
    """Return 1 where a > b, 0 elsewhere."""
    return (a > b).to(a.dtype)


@triton.jit
def inner(u, v):
    """Return the sum of the products of two matrices' entries."""
    return tl.sum(u * v)
