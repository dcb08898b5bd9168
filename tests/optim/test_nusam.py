"""n-USAM against its equation: the gradient at w + rho full, full that of all samples, not normalized."""

import pytest
from equations import EVERY_SAMPLE, HEAVY, PLAIN, error, unit

from featlearn.optim import NUSAM


def at(perturbation):
    """The mini-batch gradient at w + perturbation(plain, w, chosen)."""

    def equation(plain):
        return lambda t, w, chosen, buffer: plain.gradient(w + perturbation(plain, w, chosen), chosen)

    return equation


@pytest.mark.parametrize("base", [PLAIN, HEAVY], ids=["plain", "heavy"])
def test_it_follows_its_equation(base):
    rule = NUSAM(rho=0.2, base=base)
    assert error(rule, at(lambda plain, w, chosen: 0.2 * plain.gradient(w, EVERY_SAMPLE))) < 1e-12


WRONG = {
    "normalized": lambda plain, w, chosen: 0.2 * unit(plain.gradient(w, EVERY_SAMPLE)),
    "of the mini-batch": lambda plain, w, chosen: 0.2 * plain.gradient(w, chosen),
}


@pytest.mark.parametrize("perturbation", WRONG.values(), ids=WRONG)
def test_the_equation_detects_another_perturbation(perturbation):
    assert error(NUSAM(rho=0.2, base=PLAIN), at(perturbation)) > 1e-6
