"""Paths of rules and of their limits on landscapes and in the networks of the theory."""

from dataclasses import replace

import numpy as np
from helpers import QUICK_TRACKERS, make_landscape_run, make_run
from sde_laws import limit

from featlearn.models.quadratic import Quadratic
from featlearn.models.two_valleys import TwoValleys
from featlearn.optim import DNSAM, MSAM, MUSAM, NSAM, NUSAM, SAM, SGD, USAM
from featlearn.runs import Record
from featlearn.simulation import simulate
from featlearn.trackers import Loss, Position

BASE = SGD(lr=0.1)
CURVED = TwoValleys(n_transverse=1, x=0.3)
QUADRATIC = Quadratic(spectrum=(2.0, -0.5), start=(0.7, 0.2))
NOISY_SAM = limit(SAM(rho=0.1, base=BASE), substeps=2)
CNN = {
    "network__activation": "softplus",
    "network__init_std": 0.1,
    "data__noise_std": 0.5,
    "data__flip_prob": 0.2,
    "record": Record(steps=(0, 3, 6), trackers=QUICK_TRACKERS),
}
MINI = {"micro_batch_size": 2}
RULES = {
    "sgd": BASE,
    "sam": SAM(rho=0.1, base=BASE),
    "usam": USAM(rho=0.05, base=BASE),
    "dnsam": DNSAM(rho=0.1, base=BASE),
    "n_sam": NSAM(rho=0.1, base=BASE),
    "n_usam": NUSAM(rho=0.05, base=BASE),
    "msam": MSAM(rho=0.1, **MINI, base=BASE),
    "m_usam": MUSAM(rho=0.05, **MINI, base=BASE),
    "1-sam": MSAM(rho=0.1, micro_batch_size=1, base=BASE),
}


def path(network, rule, n_steps=10, *, noise=0.0, **changes):
    """The run of a landscape with all its steps and two coordinates recorded."""
    run = make_landscape_run(network, rule, n_steps=n_steps, **changes)
    record = Record(steps=tuple(range(n_steps + 1)), trackers=(Loss(), Position(n_coordinates=2)))
    return replace(run, train=replace(run.train, gradient_noise=noise), record=record)


def points(run):
    """The first two coordinates at every step, [steps, 2]."""
    values = simulate(run).values
    return np.stack([values["x0"], values["x1"]], 1)


def mini_batches(rule, *, engine="gram", sampling="without_replacement", n_steps=6, **changes):
    """The run of a network on mini-batches of four samples."""
    run = make_run(rule, engine=engine, **{**CNN, **changes})
    return replace(run, train=replace(run.train, n_steps=n_steps, batch_size=4, batch_sampling=sampling))
