"""The formulas of the Gram engine as Triton compiles them for a GPU; gram.py is their plain twin.

One program has one run, whose matrices stay in its registers. They are padded with zeros to powers of two: F rows of
filters, P columns of data vectors, the signal in column 0, noises, the bias in column k - 1; column k takes what falls
on the patch -signal. A run is what ``load_run`` returns.
"""

from __future__ import annotations

import triton
import triton.language as tl

ACTIVATIONS = ("relu", "relu2", "relu3", "softplus")  # that ``value`` and ``slope`` have; no other is compiled


@triton.jit
def value(z, KIND: tl.constexpr):
    """Return the activation; KIND is its name in models.activations."""
    r = tl.where(z <= 0, 0.0, z)  # NaN stays
    if KIND == "relu":
        return r
    elif KIND == "relu2":
        return r * r
    elif KIND == "relu3":
        return r * r * r
    else:
        tl.static_assert(KIND == "softplus", "no formula is compiled for this activation")
        return softplus(z)


@triton.jit
def slope(z, KIND: tl.constexpr):
    """Return the activation's derivative."""
    r = tl.where(z <= 0, 0.0, z)
    if KIND == "relu":
        return (z > 0).to(z.dtype)
    elif KIND == "relu2":
        return 2 * r
    elif KIND == "relu3":
        return 3 * r * r
    else:
        tl.static_assert(KIND == "softplus", "no formula is compiled for this activation")
        return 1 / (1 + tl.exp(-z))


@triton.jit
def softplus(z):
    """Return log(1 + exp(z)); with u = 1 + e as rounded, log(u) e / (u - 1) is log(1 + e) to the last bits (Kahan)."""
    e = tl.exp(-tl.abs(z))
    u = 1 + e
    log1p = tl.where(u == 1, e, tl.log(u) * (e / tl.where(u == 1, u, u - 1)))
    return tl.where(z <= 0, 0.0, z) + log1p


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
def second_layer(like, f: tl.constexpr, F: tl.constexpr):
    """Return +1 for the first half of the f filters, -1 for the second and 0 for padding, [F]."""
    row = tl.arange(0, F)
    return (row < f // 2).to(like.dtype) - ((row >= f // 2) & (row < f)).to(like.dtype)


@triton.jit
def shown(true_labels, noise_count, n: tl.constexpr, n_noises: tl.constexpr, k: tl.constexpr, P: tl.constexpr):
    """Return how many patches with the vector of a column a sample has, [P, N]; column k is -signal."""
    N: tl.constexpr = true_labels.shape[0]
    column, sample = tl.arange(0, P)[:, None], tl.arange(0, N)[None, :]
    own = (column >= 1) & (column <= n_noises) & ((column - 1) % n == sample)
    positive = true_labels[None, :] > 0
    signal = ((column == 0) & positive) | ((column == k) & (true_labels[None, :] < 0))
    return own.to(true_labels.dtype) * noise_count + signal.to(true_labels.dtype)


@triton.jit
def column_of(matrix, number: tl.constexpr):
    """Return one column as [R, 1]."""
    C: tl.constexpr = matrix.shape[1]
    chosen = tl.arange(0, C)[None, :] == number
    return tl.sum(tl.where(chosen, matrix, 0.0), 1)[:, None]


@triton.jit
def preactivations(align, k: tl.constexpr, BIAS: tl.constexpr):
    """Return what the filters see on the patches, [F, P], from their alignments."""
    P: tl.constexpr = align.shape[1]
    column = tl.arange(0, P)[None, :]
    minus = -column_of(align, 0)
    if BIAS:
        shift = column_of(align, k - 1)
        align = align + shift
        minus = minus + shift
    return tl.where(column == k, minus, align)


@triton.jit
def gathered(on_patches, k: tl.constexpr, BIAS: tl.constexpr):
    """Return what falls on the data vectors, [F, P]: both signal patches on the signal, every patch on the bias."""
    P: tl.constexpr = on_patches.shape[1]
    column = tl.arange(0, P)[None, :]
    coef = tl.where(column == 0, on_patches - column_of(on_patches, k), on_patches)
    if BIAS:
        coef = tl.where(column == k - 1, tl.sum(on_patches, 1)[:, None], coef)
    return tl.where(column == k, 0.0, coef)


@triton.jit
def outputs(z, signs, shows, scale, KIND: tl.constexpr):
    """Return f_i, [N]."""
    columns = tl.sum(signs[:, None] * value(z, KIND), 0)
    return scale * tl.sum(tl.where(shows > 0, shows * columns[:, None], 0.0), 0)  # what others show may be infinite


@triton.jit
def gradient(align, batch, labels, signs, shows, scale, gram, k: tl.constexpr, KIND: tl.constexpr, BIAS: tl.constexpr):
    """Return coefficients and alignments of the gradient, [F, P] both, where the filters have ``align``."""
    z = preactivations(align, k, BIAS)
    f = outputs(z, signs, shows, scale, KIND)
    c = -scale * batch * labels / (1 + tl.exp(labels * f))
    on_columns = tl.sum(shows * c[None, :], 1)
    coef = gathered(signs[:, None] * slope(z, KIND) * on_columns[None, :], k, BIAS)
    return coef, tl.dot(coef, gram, input_precision="ieee", out_dtype=coef.dtype)


@triton.jit
def mean_loss(align, labels, signs, shows, scale, gram, k: tl.constexpr, KIND: tl.constexpr, BIAS: tl.constexpr):
    """Return the loss on the whole training set."""
    margins = labels * outputs(preactivations(align, k, BIAS), signs, shows, scale, KIND)
    one = (labels != 0).to(margins.dtype)  # a sample, not padding
    return tl.sum(one * softplus(-margins)) / tl.sum(one)


@triton.jit
def is_finite(coef, align, alpha):
    """Return whether the numbers are finite, and small enough that their squares can be added."""
    return tl.sum(coef * coef + align * align) + alpha * alpha < float("inf")


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
def inner(coef, align):
    """Return <C V, v>, from the alignments of v."""
    return tl.sum(coef * align)
