"""The compiled functions against those of tensors, over both dicts and in both precisions."""

import numpy as np
import pytest
import torch
from twins import POINTS

from featlearn.functions import ACTIVATIONS, LOSSES
from featlearn.functions import compiled as c

DTYPES = [torch.float64, torch.float32]
ROUNDING = {torch.float64: 4e-15, torch.float32: 2e-6}  # of numba's exp, log1p, tanh, erf beside torch's
UNKNOWN = 1000  # the number of nothing
precisions = pytest.mark.parametrize("dtype", DTYPES, ids=str)


def points(dtype):
    """Arguments at which polynomials do not overflow."""
    return POINTS[POINTS.abs() < (1e150 if dtype == torch.float64 else 1e9)].to(dtype)


def differing(kinds, got, expected, dtype):
    """The names of the functions that differ by more than rounding, relative beyond 1; ``got`` is of its dtype."""
    wrong = []
    for name in kinds:
        x, y = torch.as_tensor(got(name)), expected(name)
        assert x.dtype == y.dtype == dtype
        if not torch.allclose(x, y, rtol=ROUNDING[dtype], atol=ROUNDING[dtype]):
            wrong.append(name)
    return wrong


@precisions
def test_activations(dtype):
    z = points(dtype)
    factor = torch.linspace(-2, 2, len(z), dtype=dtype)

    def values(name, out):
        c.values(c.activation_kind(name), z.numpy(), out)
        return out

    def slopes(name, out):
        c.slopes(c.activation_kind(name), factor.numpy(), z.numpy(), out)
        return out

    def seconds(name, out):
        c.seconds(c.activation_kind(name), factor.numpy(), z.numpy(), out)
        return out

    def expected(name):
        return factor * ACTIVATIONS[name].slope(z)

    def curved(name):
        second = ACTIVATIONS[name].second
        return 0 * z if second is None else factor * second(z)

    out = np.empty_like(z.numpy())
    assert differing(ACTIVATIONS, lambda name: values(name, out), lambda name: ACTIVATIONS[name].value(z), dtype) == []
    assert differing(ACTIVATIONS, lambda name: slopes(name, out), expected, dtype) == []
    assert differing(ACTIVATIONS, lambda name: seconds(name, out), curved, dtype) == []


@precisions
def test_expansions(dtype):
    z = points(dtype)[::50]

    def expansion(name):
        return np.array([c.expansion(c.activation_kind(name), x) for x in z.numpy()], dtype=z.numpy().dtype)

    def expected(name):
        act = ACTIVATIONS[name]
        return torch.stack([act.value(z), act.slope(z), 0 * z if act.second is None else act.second(z)], 1)

    assert differing(ACTIVATIONS, expansion, expected, dtype) == []
    for signature in c.expansion.nopython_signatures:
        assert signature.return_type.dtype == signature.args[1]


def heads(dtype):
    """For every loss outputs [C, n], labels [n] and weights of the samples [n]."""
    z = points(dtype)
    z = z[z.abs() < 80]
    for name, loss in LOSSES.items():
        n_outputs = loss.n_outputs(3)
        outputs = torch.stack([z, z.flip(0), 0.5 * z])[:n_outputs]
        labels = torch.arange(len(z)) % 3 if name == "softmax" else (-1.0) ** torch.arange(len(z))
        yield name, loss, outputs, labels.to(dtype), torch.linspace(0, 1, len(z), dtype=dtype)


@precisions
def test_losses(dtype):
    for name, loss, outputs, labels, batch in heads(dtype):
        kind, out, slopes = c.loss_kind(name), np.empty_like(labels.numpy()), outputs.clone().numpy()
        close = {"rtol": ROUNDING[dtype], "atol": ROUNDING[dtype]}
        c.loss_values(kind, outputs.numpy(), labels.numpy(), out)
        torch.testing.assert_close(torch.as_tensor(out), loss.value(outputs.T, labels), **close)
        c.loss_slopes(kind, slopes, labels.numpy(), batch.numpy(), slopes)  # into the outputs themselves
        torch.testing.assert_close(torch.as_tensor(slopes), (batch[:, None] * loss.slope(outputs.T, labels)).T, **close)
        if name == "softmax":
            with pytest.raises(ValueError, match="this loss has several outputs: its second derivative is a matrix"):
                c.loss_seconds(kind, outputs.numpy(), labels.numpy(), out)
        else:
            c.loss_seconds(kind, outputs.numpy(), labels.numpy(), out)
            root = loss.root(outputs.T, labels)[:, 0, 0]
            torch.testing.assert_close(torch.as_tensor(out), root.square(), **close)


def test_small_losses_keep_their_digits():
    outputs, labels, out = np.array([[50.0], [0.0], [1.0]]), np.zeros(1), np.empty(1)
    c.loss_values(c.loss_kind("softmax"), outputs, labels, out)
    assert out[0] == pytest.approx(np.exp(-50) + np.exp(-49), rel=1e-15)
    c.loss_values(c.loss_kind("logistic"), outputs[:1], labels + 1, out)
    assert out[0] == pytest.approx(np.exp(-50), rel=1e-15)


def test_nan_stays():
    z, out = np.array([np.nan]), np.empty(1)
    for name in ACTIVATIONS:
        c.values(c.activation_kind(name), z, out)
        assert np.isnan(out[0]), name
    for name, loss in LOSSES.items():
        c.loss_values(c.loss_kind(name), np.full((loss.n_outputs(3), 1), np.nan), np.ones(1), out)
        assert np.isnan(out[0]), name


def test_a_wrong_twin_fails():
    """Negative control: the slope of another function."""
    z = points(torch.float64)
    out = np.empty_like(z.numpy())
    c.slopes(c.activation_kind("silu"), np.ones_like(out), z.numpy(), out)
    differ = differing(ACTIVATIONS, lambda name: out, lambda name: ACTIVATIONS[name].slope(z), torch.float64)
    assert differ == [name for name in ACTIVATIONS if name != "silu"]


def test_unknown_words_fail_with_the_choices():
    with pytest.raises(ValueError, match=r"^activation: expected one of relu, .*, identity; found gelo$"):
        c.activation_kind("gelo")
    with pytest.raises(ValueError, match=r"^loss: expected one of logistic, .*, softmax; found hing$"):
        c.loss_kind("hing")


@pytest.mark.parametrize("kind", [UNKNOWN, -1])
def test_unknown_numbers_fail(kind):
    z, out = np.ones(3), np.ones(3)
    row = z[None]
    for attempt in (
        lambda: c.values(kind, z, out),
        lambda: c.slopes(kind, z, z, out),
        lambda: c.expansion(kind, 1.0),
    ):
        with pytest.raises(ValueError, match="no formula is compiled for this activation"):
            attempt()
    for attempt in (
        lambda: c.loss_values(kind, row, z, out),
        lambda: c.loss_slopes(kind, row, z, z, row),
        lambda: c.loss_seconds(kind, row, z, out),
    ):
        with pytest.raises(ValueError, match="no formula is compiled for this loss"):
            attempt()
    assert out.tolist() == [1.0] * 3
