from decimal import Decimal, localcontext

import pytest
import torch

from featlearn.functions.losses import logistic, logistic_bend, logistic_slope, mistakes

MARGINS = [
    -1e4,
    -800.0,
    -100.0,
    -40.5,
    -39.5,
    -33.0,
    -20.5,
    -20.0,
    -3.0,
    -1e-8,
    0.0,
    1e-8,
    1.0,
    19.5,
    20.5,
    36.0,
    41.0,
    300.0,
    700.0,
]


def exact(margin):
    """The loss and its slope to 60 digits."""
    with localcontext() as context:
        context.prec = 60
        context.Emin = -10_000
        tail = (-Decimal(margin)).exp()
        loss = (1 + tail).ln() if tail > Decimal("1e-40") else tail - tail**2 / 2
        return float(loss), float(-tail / (1 + tail))


@pytest.mark.parametrize("margin", MARGINS)
def test_loss_and_slope_to_the_last_digits(margin):
    m = torch.tensor([margin], dtype=torch.float64)
    loss, slope = exact(margin)
    assert logistic(m).item() == pytest.approx(loss, rel=4e-16, abs=0)
    assert logistic_slope(m).item() == pytest.approx(slope, rel=4e-16, abs=0)


def test_far_out_nothing_overflows():
    m = torch.tensor([-1e300, -1e4, 1e4, 1e300], dtype=torch.float64)
    assert logistic(m).tolist() == [1e300, 1e4, 0.0, 0.0]
    assert logistic_slope(m).tolist() == [-1.0, -1.0, 0.0, 0.0]


def test_slope_is_autograds():
    m = torch.tensor(MARGINS, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(logistic(m).sum(), m)
    assert torch.allclose(logistic_slope(m), slope, rtol=4e-16, atol=0)


@pytest.mark.parametrize("margin", MARGINS)
def test_bend_to_the_last_digits(margin):
    """The second derivative s (1 - s), with s the slope; autograd's own loses it at large negative margins."""
    with localcontext() as context:
        context.prec = 60
        context.Emin = -10_000
        tail = (-abs(Decimal(margin))).exp()
        bend = float(tail / (1 + tail) ** 2)
    assert logistic_bend(torch.tensor([margin], dtype=torch.float64)).item() == pytest.approx(bend, rel=1e-15, abs=0)


def test_bend_far_out():
    assert logistic_bend(torch.tensor([0.0, 1e300, -1e300])).tolist() == [0.25, 0.0, 0.0]


def test_single_precision():
    m = torch.tensor([-1e4, -30.0, 0.0, 30.0, 80.0], dtype=torch.float32)
    expected = [exact(x)[0] for x in m.tolist()]
    assert logistic(m).tolist() == pytest.approx(expected, rel=3e-7, abs=0)


def test_an_undecided_output_is_half_a_mistake():
    m = torch.tensor([-2.0, -1e-300, -0.0, 0.0, 1e-300, 5.0], dtype=torch.float64)
    assert mistakes(m).tolist() == [1.0, 1.0, 0.5, 0.5, 0.0, 0.0]
