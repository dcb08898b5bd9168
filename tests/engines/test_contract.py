"""Every data model with every loss and every activation, each with one of the rules in turn: both engines agree.

The first two models with every pair of these, a further one with some pairs, in which each loss and activation occurs.

The explicit engine uses torch's own functions and autograd; the others use the formulas of engines/span/engine.py.
"""

from dataclasses import dataclass, replace
from itertools import product

import pytest
from helpers import GRAM_RULES, IN_LAW, RULES, make_run, mini_batches
from leaky import Leaky
from repeated_patch import RepeatedPatch
from three_classes import ThreeClasses

from featlearn.data import DATA, XOR, Margins, MultiView, Oscillation, SignalNoise, Spurious, has_patches
from featlearn.data.leaky_mixture import LeakyMixture
from featlearn.engines.cpu.engine import CPUGramEngine
from featlearn.engines.span.engine import GramEngine
from featlearn.engines.span.head import Head
from featlearn.functions import ACTIVATIONS, LOSSES
from featlearn.models.two_layer_cnn import TwoLayerCNN
from featlearn.runs import Train
from featlearn.simulation import build_engine

N_STEPS, FEWER = 300, 60  # of every fifth case, and of the others
SMALL = {"n_samples": 6, "dim": 30, "signal_norm": 1.0, "noise_std": 0.4, "flip_prob": 0.2}
MODELS = {
    "signal_noise": SignalNoise(**SMALL),
    "xor": XOR(**SMALL, angle=70.0, n_patches=3, noise="independent"),
    "spurious": Spurious(n_samples=6, dim=30, noise_std=0.4, flip_prob=0.2, spurious_norm=0.7, alignment=0.6),
    "margins": Margins(**SMALL, small_share=0.4, small_strength=0.3, n_patches=3),
    "multi_view": MultiView(**SMALL, single_share=0.6, minor_strength=0.2, n_patches=5, noise="independent"),
    "oscillation": Oscillation(n_samples=6, dim=30, noise_std=0.4, flip_prob=0.2, strong_share=0.5),
    "leaky_mixture": LeakyMixture(n_samples=6, dim=30, gamma=0.3, flip_prob=0.2),
}
THOROUGH = ("signal_noise", "xor")
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
    ("xor", "smoothed_hinge", "tanh"),  # with momentum: 2e-16 becomes 8e-12
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
        rule, train = RULES[self.rule], Train(n_steps=N_STEPS if self.number % 5 == 0 else FEWER, batch_size=3)
        if self.loss in STEEP:
            slow = lambda part: replace(part, lr=0.1 * part.lr)  # noqa: E731
            rule = replace(rule, base=slow(rule.base)) if hasattr(rule, "base") else slow(rule)
        return make_run(rule, data=MODELS[self.model], network=network, train=train)


def losses_of(model):
    return [loss for loss in LOSSES if TwoLayerCNN(loss=loss).refusal(MODELS[model]) is None]


def met(words):
    """Whether a case is tried: of a further model one in as many as it has losses, on diagonals of the table."""
    model, loss, activation = words
    if loss not in losses_of(model):
        return False
    place = list(MODELS).index(model) + [*LOSSES].index(loss) + [*ACTIVATIONS].index(activation)
    return model in THOROUGH or place % len(losses_of(model)) == 0


CASES = [Case(*words, number) for number, words in enumerate(product(MODELS, LOSSES, ACTIVATIONS)) if met(words)]


def final(engine, run):
    """The parameters after all steps of the run."""
    w = engine.initial()
    memory = run.optimizer.init(w)
    for t, loss in zip(range(run.train.n_steps), mini_batches(engine.labels, run).losses(engine), strict=False):
        w, memory = run.optimizer.step(loss, w, memory, t)
    return w


def distances(case, *kinds):
    """How far explicit training has moved, and how far that of the Gram engines ``kinds`` is from it."""
    return distances_of(case.run(), *kinds)


def distances_of(run, *kinds):
    """The same of a run."""
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
    for model in MODELS:
        own = [case for case in CASES if case.model == model]
        assert {case.activation for case in own} == {*ACTIVATIONS} and {case.loss for case in own} == {
            *losses_of(model)
        }


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_engines_agree(case):
    moved, *apart = distances(case, GramEngine, CPUGramEngine)
    assert moved > 1e-3
    assert max(apart) <= 1e-12 or (case.model, case.loss, case.activation) in CHAOTIC


# models of other shapes: classes, a patch in two slots, signal and noise in one patch, common patches in later slots


class Turned(XOR):
    """XOR whose noise stands in the first slot."""

    @property
    def slots(self):
        return super().slots[::-1]

    def draw(self, draws):
        drawn = super().draw(draws)
        return replace(drawn, shown=drawn.shown.flip(2))


SHAPES = {
    "three classes": ThreeClasses(**SMALL),
    "repeated patch": RepeatedPatch(n_samples=6, dim=30),
    "leaky": Leaky(n_samples=6, dim=30),
    "turned xor": Turned(**SMALL),
}
SHAPED = [("sam", 3), ("msam", 3), ("label_noise", 6), ("asam", 6)]


@pytest.mark.parametrize("model", SHAPES)
@pytest.mark.parametrize(("rule", "batch_size"), SHAPED, ids=lambda x: str(x))
@pytest.mark.parametrize(
    ("loss", "second_layer"), [("softmax", "trained"), ("softmax", "fixed"), ("logistic", "fixed")]
)
def test_the_engines_agree_on_other_shapes(model, rule, batch_size, loss, second_layer):
    data = SHAPES[model]
    network = TwoLayerCNN(
        n_filters=2,
        init_std=0.2,
        activation="gelu",
        loss="softmax" if data.n_classes > 2 else loss,
        second_layer=second_layer,
        bias=True,
    )
    run = make_run(RULES[rule], data=data, network=network, train=Train(n_steps=40, batch_size=batch_size))
    moved, *apart = distances_of(run, GramEngine, CPUGramEngine)
    assert moved > 1e-3 and max(apart) <= 1e-12


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
