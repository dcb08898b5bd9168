"""Every data model with every loss and every activation, each with one of the rules in turn: both engines agree.

The explicit engine uses torch's own functions and autograd; the others use the formulas of engines/span/engine.py.
"""

from dataclasses import dataclass, replace
from itertools import product

import pytest
from helpers import GRAM_RULES, IN_LAW, RULES, make_run, mini_batches

from featlearn.data import DATA, XOR, SignalNoise, has_patches
from featlearn.engines.cpu.engine import CPUGramEngine
from featlearn.engines.span.engine import GramEngine
from featlearn.engines.span.head import Head
from featlearn.functions import ACTIVATIONS, LOSSES
from featlearn.models.two_layer_cnn import TwoLayerCNN
from featlearn.runs import Train
from featlearn.simulation import build_engine

N_STEPS = 300
SMALL = {"n_samples": 6, "dim": 30, "signal_norm": 1.0, "noise_std": 0.4, "flip_prob": 0.2}
MODELS = {"signal_noise": SignalNoise(**SMALL), "xor": XOR(**SMALL, angle=70.0, n_patches=3, noise="independent")}
IN_TURN = [name for name in GRAM_RULES if name not in IN_LAW]
STEEP = ("square", "half_square", "exponential", "smoothed_hinge")  # steep or with kinks: a tenth of the learning rate
# where 1e-16 on the initial weights becomes more than 1e-12 in one and the same engine
CHAOTIC = {
    ("signal_noise", "square", "cubic"),
    ("signal_noise", "square", "gelu"),
    ("signal_noise", "square", "erf"),
    ("signal_noise", "half_square", "identity"),
    ("xor", "half_square", "relu3"),
    ("xor", "half_square", "quadratic"),
}


@dataclass(frozen=True)
class Case:
    """A model, a loss and an activation; ``number`` chooses the rule, a bias, a trained second layer."""

    model: str
    loss: str
    activation: str
    number: int

    def __str__(self):
        return f"{self.model}-{self.loss}-{self.activation}-{self.rule}"

    @property
    def rule(self):
        return IN_TURN[self.number % len(IN_TURN)]

    def run(self):
        network = TwoLayerCNN(
            n_filters=2,
            init_std=0.2,
            activation=self.activation,
            loss=self.loss,
            bias=self.number % 2 == 0,
            second_layer=("fixed", "trained")[self.number // 2 % 2],
        )
        rule, train = RULES[self.rule], Train(n_steps=N_STEPS, batch_size=3)
        if self.loss in STEEP:
            slow = lambda part: replace(part, lr=0.1 * part.lr)  # noqa: E731
            rule = replace(rule, base=slow(rule.base)) if hasattr(rule, "base") else slow(rule)
        return make_run(rule, data=MODELS[self.model], network=network, train=train)


CASES = [Case(*words, number) for number, words in enumerate(product(MODELS, LOSSES, ACTIVATIONS))]


def final(engine, run):
    """The parameters after N_STEPS."""
    w = engine.initial()
    memory = run.optimizer.init(w)
    for t, loss in zip(range(N_STEPS), mini_batches(engine.labels, run).losses(engine), strict=False):
        w, memory = run.optimizer.step(loss, w, memory, t)
    return w


def distances(case, *kinds):
    """How far explicit training has moved, and how far that of the Gram engines ``kinds`` is from it."""
    run = case.run()
    explicit = build_engine([replace(run, engine="weights")], "cpu")
    start, end, problem = explicit.initial(), final(explicit, run), explicit.problem
    apart = []
    for kind in kinds:
        alpha, coef, _, *second = final(kind(problem), run).leaves
        filters = [alpha[:, None, None] * start.leaves[0] + coef @ explicit._distinct]
        filters += [alpha[:, None] * start.leaves[1] + coef.sum(2)] if run.network.bias else []
        rebuilt = zip([*filters, *second], end.leaves, strict=True)
        apart.append(max(float((x - y).abs().max()) for x, y in rebuilt))
    return float((end.leaves[0] - start.leaves[0]).abs().max()), *apart


def test_every_model_of_patches_is_here():
    assert set(MODELS) == {word for word, cls in DATA.items() if has_patches(cls)}
    assert {case.rule for case in CASES} == set(IN_TURN)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_engines_agree(case):
    moved, *apart = distances(case, GramEngine, CPUGramEngine)
    assert moved > 1e-3
    assert max(apart) <= 1e-12 or (case.model, case.loss, case.activation) in CHAOTIC


# negative controls


def slope_off_by_a_billionth(monkeypatch):
    loss = type(LOSSES["logistic"])
    true = loss.slope
    monkeypatch.setattr(loss, "slope", lambda self, f, y: (1 + 1e-9) * true(self, f, y))


def patches_counted_once(monkeypatch):
    true = Head.per_patch
    monkeypatch.setattr(Head, "per_patch", lambda self, x: true(self, x) / self._times.max())


def second_layer_not_trained(monkeypatch):
    true = GramEngine.vector
    monkeypatch.setattr(
        GramEngine, "vector", lambda self, *leaves: true(self, *leaves[:3], *(0 * x for x in leaves[3:]))
    )


def labels_of_other_samples(monkeypatch):
    true = GramEngine.gradient
    monkeypatch.setattr(
        GramEngine, "gradient", lambda self, w, batch, labels=None: true(self, w, batch, self.labels.roll(1, 1))
    )


WRONG = {slope_off_by_a_billionth: 0, patches_counted_once: 0, second_layer_not_trained: 2, labels_of_other_samples: 0}


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.__name__)
def test_a_wrong_twin_disagrees(wrong, monkeypatch):
    case = Case("signal_noise", "logistic", "gelu", WRONG[wrong])
    run = case.run()
    shared = replace(run.data, n_patches=4)
    monkeypatch.setitem(MODELS, "signal_noise", shared)
    assert distances(case, GramEngine)[1] <= 1e-12
    wrong(monkeypatch)
    assert distances(case, GramEngine)[1] > 1e-11
