"""USAM against its equation: the gradient at w + rho g, g neither normalized nor of another batch."""

import pytest
from equations import HEAVY, PLAIN, error, unit

from featlearn.optim import USAM


def at(perturbation):
    """The gradient at w + perturbation(g), g that of the mini-batch at w."""

    def equation(plain):
        return lambda t, w, chosen, buffer: plain.gradient(w + perturbation(plain.gradient(w, chosen)), chosen)

    return equation


@pytest.mark.parametrize("base", [PLAIN, HEAVY], ids=["plain", "heavy"])
def test_it_follows_its_equation(base):
    assert error(USAM(rho=0.2, base=base), at(lambda g: 0.2 * g)) < 1e-12


def test_the_equation_detects_a_normalized_gradient():
    assert error(USAM(rho=0.2, base=PLAIN), at(lambda g: 0.2 * unit(g))) > 1e-6
