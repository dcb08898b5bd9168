"""The functions of device kernels against those of tensors, over both dicts and in both precisions."""

import pytest
import torch
from twins import POINTS

from featlearn.functions import ACTIVATIONS
from featlearn.functions.losses import SCALAR_LOSSES

triton = pytest.importorskip("triton")
tl = pytest.importorskip("triton.language")
device = pytest.importorskip("featlearn.functions.device")

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
SIZE = 4096
# of exp, log and erf, relative beyond 1. In the tails 0.5 + 0.5 erf and 1 - tanh^2 cancel: the error there is absolute.
ROUNDING = {torch.float64: 4e-15, torch.float32: 2e-6}
precisions = pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
value, slope, loss_value, loss_slope = device.value, device.slope, device.loss_value, device.loss_slope


@triton.jit
def of_activation(z, values, slopes, KIND: tl.constexpr, SIZE: tl.constexpr):
    at = tl.arange(0, SIZE)
    x = tl.load(z + at)
    tl.store(values + at, value(x, KIND))
    tl.store(slopes + at, slope(x, KIND))
    tl.static_assert(value(x, KIND).dtype == x.dtype)
    tl.static_assert(slope(x, KIND).dtype == x.dtype)


@triton.jit
def of_loss(outputs, labels, values, slopes, KIND: tl.constexpr, SIZE: tl.constexpr):
    at = tl.arange(0, SIZE)
    f, y = tl.load(outputs + at), tl.load(labels + at)
    tl.store(values + at, loss_value(f, y, KIND))
    tl.store(slopes + at, loss_slope(f, y, KIND))
    tl.static_assert(loss_value(f, y, KIND).dtype == f.dtype)
    tl.static_assert(loss_slope(f, y, KIND).dtype == f.dtype)


def computed(kernel, kind, *arguments):
    """Values and slopes; the arguments padded to SIZE."""
    padded = [torch.ones(SIZE, dtype=x.dtype, device=DEVICE) for x in arguments]
    for x, argument in zip(padded, arguments, strict=True):
        x[: len(argument)] = argument
    out = [torch.empty_like(padded[0]) for _ in range(2)]
    kernel[(1,)](*padded, *out, KIND=kind, SIZE=SIZE)
    return [x[: len(arguments[0])].cpu() for x in out]


def points(dtype, limit):
    z = POINTS[POINTS.abs() < limit]
    return z.to(dtype)


def close(got, expected, dtype):
    return all(
        torch.allclose(x, y, rtol=ROUNDING[dtype], atol=ROUNDING[dtype]) for x, y in zip(got, expected, strict=True)
    )


@precisions
def test_activations(dtype):
    z = points(dtype, 1e150 if dtype == torch.float64 else 1e9)
    for name, act in ACTIVATIONS.items():
        assert close(computed(of_activation, name, z), (act.value(z), act.slope(z)), dtype), name


@precisions
def test_losses(dtype):
    f = points(dtype, 80)
    y = (-1.0) ** torch.arange(len(f)).to(dtype)
    for name, loss in SCALAR_LOSSES.items():
        expected = loss.value(f[:, None], y), loss.slope(f[:, None], y)[:, 0]
        assert close(computed(of_loss, name, f, y), expected, dtype), name


def test_the_tail_of_the_logistic_loss_keeps_its_digits():
    f = torch.tensor([20.0, 36.0, 41.0, 300.0, 700.0], dtype=torch.float64)
    values, slopes = computed(of_loss, "logistic", f, torch.ones_like(f))
    assert torch.allclose(values, (-f).exp().log1p(), rtol=1e-15, atol=0)
    assert torch.allclose(slopes, -torch.sigmoid(-f), rtol=1e-15, atol=0)


def test_small_arguments_of_tanh_keep_their_digits():
    z = POINTS[(POINTS.abs() < 3)]
    assert torch.allclose(computed(of_activation, "tanh", z)[0], z.tanh(), rtol=1e-15, atol=0)


def test_nan_stays():
    nan = torch.full((1,), torch.nan, dtype=torch.float64)
    assert all(computed(of_activation, name, nan)[0].isnan() for name in ACTIVATIONS)
    assert all(computed(of_loss, name, nan, torch.ones_like(nan))[0].isnan() for name in SCALAR_LOSSES)


def test_wrong_twins_fail():
    """Negative controls: gelu's approximation by tanh, the slope of another function."""
    z = points(torch.float64, 1e3)
    values, slopes = computed(of_activation, "gelu", z)
    assert not close([values], [torch.nn.functional.gelu(z, approximate="tanh")], torch.float64)
    alike = [name for name, act in ACTIVATIONS.items() if close([slopes], [act.slope(z)], torch.float64)]
    assert alike == ["gelu"]


@pytest.mark.parametrize(
    ("kernel", "count", "message"),
    [
        (of_activation, 1, "no formula is compiled for this activation; expected one of relu, .*, identity"),
        (of_loss, 2, "no formula is compiled for this loss; expected one of logistic, .*, polynomial"),
    ],
)
def test_unknown_words_fail_with_the_choices(kernel, count, message):
    with pytest.raises(Exception, match=message):
        computed(kernel, "gelo", *[torch.ones(1, dtype=torch.float64)] * count)
