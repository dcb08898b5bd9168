"""Every integrator has the orders that it declares. No Monte Carlo: see tests/sde_orders.py."""

import pytest
from sde_orders import (
    CURVED,
    FLAT,
    flow_error,
    local_error,
    slopes,
    strong_error_additive,
    strong_error_one_noise,
    strong_error_two_noises,
    weak_error,
)

from featlearn.sde.integrators import INTEGRATORS, Integrator

STEPS = [2.0**-k for k in (6, 7, 8)]
ALL = pytest.mark.parametrize("integrator", [cls() for cls in INTEGRATORS.values()], ids=INTEGRATORS)


@ALL
def test_it_names_its_source_and_has_no_parameters(integrator):
    assert isinstance(integrator, Integrator) and integrator.reference and integrator == type(integrator)()


@ALL
def test_weak_order_with_noises_that_do_not_commute(integrator):
    errors = [weak_error(integrator, h) for h in STEPS]
    assert slopes(errors) == pytest.approx(integrator.weak_order, abs=0.02)


@ALL
def test_weak_order_of_a_step_of_a_nonlinear_equation(integrator):
    """One power more than the order at a fixed time."""
    errors = [local_error(integrator, CURVED, h) for h in STEPS]
    assert slopes(errors) == pytest.approx(integrator.weak_order + 1, abs=0.04)


@ALL
def test_weak_order_with_additive_noise(integrator):
    errors = [local_error(integrator, FLAT, h) for h in STEPS]
    assert slopes(errors) == pytest.approx(integrator.additive_weak_order + 1, abs=0.02)


@ALL
def test_strong_order_with_noises_that_do_not_commute(integrator):
    errors = [strong_error_two_noises(integrator, h) for h in STEPS]
    assert slopes(errors) == pytest.approx(integrator.strong_order, abs=0.01)


@ALL
def test_strong_order_with_a_single_noise(integrator):
    """Geometric Brownian motion; the differences of platen contain Milstein's term."""
    errors = [strong_error_one_noise(integrator, h) for h in STEPS]
    order = 1.0 if integrator == INTEGRATORS["platen"]() else integrator.strong_order
    assert slopes(errors) == pytest.approx(order, abs=0.01)


@ALL
def test_strong_order_with_additive_noise(integrator):
    errors = [strong_error_additive(integrator, h) for h in STEPS]
    assert slopes(errors) == pytest.approx(integrator.additive_strong_order, abs=0.01)


@ALL
def test_order_of_a_flow(integrator):
    errors = [flow_error(integrator, h) for h in (1 / 16, 1 / 32, 1 / 64)]
    assert slopes(errors) == pytest.approx(integrator.deterministic_order, abs=0.03)
