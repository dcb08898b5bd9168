"""Which rules have a limit, and which do not."""

from dataclasses import dataclass

import pytest

from featlearn.optim import GSAM, MSAM, MUSAM, OPTIMIZERS, SAM, SGD, Adam, AdamW, SignSGD
from featlearn.optim.schedules import Cosine
from featlearn.sde import LIMITS, Dynamics, Settings
from featlearn.sde.limits import has_own_limit, limit_of, refusal

SDE = Settings(dynamics="sde")


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (
            Adam(lr=0.1),
            "Adam has no dynamics but rule here; there is a limit of sgd, sam, usam, dnsam, n_sam, n_usam, ",
        ),
        (GSAM(rho=0.1, alpha=0.1, base=SGD(lr=0.1)), "GSAM has no dynamics but rule"),
        (SAM(rho=0.1, base=AdamW(lr=0.1)), "AdamW has no dynamics but rule"),
        (SGD(lr=0.1, momentum=0.9), "a base with momentum has no dynamics but rule here"),
        (SGD(lr=0.1, momentum=0.9, weight_decay=0.1), "a base with momentum and weight_decay has no"),
        (SAM(rho=0.1, base=SGD(lr=0.1, weight_decay=0.1)), "a base with weight_decay has no"),
        (SAM(rho=0.1, base=SignSGD(lr=0.1, momentum=0.1)), "a base with momentum has no"),
        (MSAM(rho=0.1, n_shards=2, base=SignSGD(lr=0.1)), "MSAM on the base signsgd has no"),
        (MUSAM(rho=0.1, n_shards=2, base=SignSGD(lr=0.1)), "MUSAM on the base signsgd has no"),
    ],
)
def test_rules_without_a_limit_are_refused(rule, message):
    assert refusal(rule).startswith(message)
    with pytest.raises(ValueError, match="dynamics"):
        SDE.applied(rule)


def test_every_word_of_the_table_has_a_rule():
    assert set(LIMITS) <= set(OPTIMIZERS.values())
    for cls, found in LIMITS.items():
        if cls in (SGD, SignSGD):
            rule = cls(lr=0.1)
        else:
            rule = cls(rho=0.1, base=SGD(lr=0.1), **({"n_shards": 2} if issubclass(cls, MSAM) else {}))
        assert refusal(rule) is None and type(limit_of(rule, "first", 0)) is found


def test_the_base_alone_acts_outside_the_window():
    rule = SAM(rho=0.1, start=2, stop=4, base=SignSGD(lr=0.1, lr_schedule=Cosine(steps=9)))
    found = [limit_of(rule, "first", t).inner for t in range(6)]
    assert [inner is not None for inner in found] == [False, False, True, True, False, False]
    assert limit_of(rule, "first").inner is not None


def test_the_rule_itself_is_the_default():
    rule = SAM(rho=0.1, base=SGD(lr=0.1))
    assert Settings().applied(rule) is rule and type(SDE.applied(rule)) is Dynamics


@dataclass(frozen=True, kw_only=True)
class Fall:
    lr: float = 0.1

    def drift(self, loss, w, t):
        return -1.0 * w

    def diffusion(self, loss, w, z, t):
        return z


@dataclass(frozen=True, kw_only=True)
class Timeless(Fall):
    lr: None = None

    def __getattribute__(self, name):
        if name == "lr":
            raise AttributeError(name)
        return super().__getattribute__(name)


def test_a_drift_of_ones_own_needs_a_learning_rate_and_no_step():
    assert has_own_limit(Fall()) and not has_own_limit(SGD(lr=0.1))
    assert refusal(Fall()) is None and SDE.applied(Fall()).rate(0) == 0.1
    with pytest.raises(ValueError, match="Fall has a drift and no step: set dynamics to sde or flow"):
        Settings().applied(Fall())
    assert refusal(Timeless()) == "Timeless needs a parameter lr for its dynamics: a step takes the time lr"
