"""The contract of every rule, over the dict: a line in OPTIMIZERS and in helpers.RULES covers a new one."""

from dataclasses import FrozenInstanceError, dataclass, fields, is_dataclass, replace

import numpy as np
import pytest
import torch
from helpers import (
    BY_COORDINATE,
    GRAM_RULES,
    IN_LAW,
    QUICK_TRACKERS,
    ROUTES,
    RULES,
    advance,
    drawn_batches,
    engine_of,
    full_batches,
    loss_on,
    make_run,
    problem_of,
    redrawn,
    same_bits,
)

from featlearn.engines.explicit.engine import WeightEngine
from featlearn.engines.protocol import Loss, Vector
from featlearn.engines.span.engine import GramEngine
from featlearn.geometry import draw_run
from featlearn.optim import (
    ASAM,
    EMASAM,
    FSAM,
    GSAM,
    MSAM,
    MUSAM,
    NUSAM,
    OPTIMIZERS,
    SAM,
    SGD,
    WSAM,
    ComponentSAM,
    LabelNoiseGD,
    LookSAM,
    MomentumSAM,
    Muon,
    RandomPerturbation,
    SAMPa,
    VaSSO,
    shape,
    stack,
)
from featlearn.runs import Train
from featlearn.simulation import simulate_block

RULE_NAMES = pytest.mark.parametrize("name", RULES)
EVERY_ROUTE = pytest.mark.parametrize(("name", "engine"), ROUTES)
SYMMETRIC = [(name, engine) for name, engine in ROUTES if name not in IN_LAW]


def test_every_optimizer_is_tried():
    bases = [rule.base for rule in RULES.values() if hasattr(rule, "base")]
    assert {type(rule) for rule in (*RULES.values(), *bases)} == set(OPTIMIZERS.values())


@pytest.mark.parametrize("word", OPTIMIZERS)
def test_an_optimizer_declares_its_needs_and_its_source(word):
    cls = OPTIMIZERS[word]
    assert is_dataclass(cls) and cls.needs <= {"coordinates", "labels", "patches", "span"}
    doc = "".join(ancestor.__doc__ or "" for ancestor in cls.__mro__)
    assert cls.reference and all(f"\n    {field.name}: " in doc for field in fields(cls))


@RULE_NAMES
def test_a_rule_is_frozen_and_hashable(name):
    rule = RULES[name]
    with pytest.raises(FrozenInstanceError):
        setattr(rule, fields(rule)[0].name, 0.0)
    assert hash(rule) == hash(replace(rule)) and rule == replace(rule)


def leaves(*parts):
    """The tensors of vectors and of memories, however nested."""
    for part in parts:
        if isinstance(part, Vector):
            yield from part.leaves
        elif isinstance(part, torch.Tensor):
            yield part
        elif isinstance(part, Loss):
            yield part.batch
        elif isinstance(part, dict):
            yield from leaves(*part.values())
        elif part is not None:
            yield from leaves(*part)


@EVERY_ROUTE
def test_a_step_is_pure(name, engine):
    """Neither the point nor the memory is changed in place, and the same call gives the same bits."""
    run = make_run(RULES[name], engine=engine)
    engine, rule = engine_of(run), RULES[name]
    batch = full_batches(engine, 10)
    w, memory = advance(engine, rule, batch)
    kept = [leaf.clone() for leaf in leaves(w, memory)]
    first, second = (rule.step(Loss(engine, batch[0]), w, memory, 10) for _ in range(2))
    rule.probe(Loss(engine, batch[0]), w, memory, 10)
    assert all(torch.equal(a, b) for a, b in zip(kept, leaves(w, memory), strict=True))
    assert all(torch.equal(a, b) for a, b in zip(leaves(*first), leaves(*second), strict=True))
    assert not torch.equal(first[0].leaves[-1], w.leaves[-1])


@dataclass(frozen=True, kw_only=True)
class Witness(Loss):
    """A loss that records the points of its gradients."""

    seen: list

    def gradient(self, w):
        self.seen.append(w)
        return super().gradient(w)


ONE_POINT = [name for name, rule in RULES.items() if not isinstance(rule, MSAM)]  # of which each shard has its own


@pytest.mark.parametrize("name", ONE_POINT)
@pytest.mark.parametrize("t", [0, 4, 5, 59, 60, 61])
def test_probe_is_where_the_next_gradient_is_taken(name, t):
    """Trackers use the probe, so it must be the point of the step's last gradient (SAMPa: of the step before)."""
    run = make_run(RULES[name], train__batch_size=3)
    engine, rule = engine_of(run), RULES[name]
    w, memory, seen = engine.initial(), rule.init(engine.initial()), []
    for step, batch in enumerate(drawn_batches(run, 3)[0]):
        loss = Witness(**vars(loss_on(engine, batch, step)), seen=seen)
        w, memory = rule.step(loss, w, memory, step)
    point, before = rule.probe(loss, w, memory, t), seen[-1]
    rule.step(loss, w, memory, t)
    used = before if isinstance(rule, SAMPa) else seen[-1]
    assert torch.equal(point.leaves[-1], used.leaves[-1])


# blocks


@pytest.mark.parametrize(  # the weight engine has one lane
    ("name", "batch_size"), [*((name, 3) for name in GRAM_RULES), *((name, 8) for name in GRAM_RULES[::4])]
)
def test_in_a_block_as_alone(name, batch_size):
    train = Train(n_steps=20, batch_size=batch_size)
    runs = [make_run(RULES[name], seed=seed, train=train, record__trackers=QUICK_TRACKERS) for seed in range(4)]
    together = simulate_block(runs)
    assert all(same_bits(a, simulate_block([run])[0]) for a, run in zip(together, runs, strict=True))


MIXED = {
    "sgd": [SGD(lr=0.1), SGD(lr=0.2, momentum=0.9), SGD(lr=0.2, weight_decay=0.1), SGD(lr=0.05, momentum=0.5)],
    "nesterov": [SGD(lr=0.1, nesterov=True, momentum=momentum) for momentum in (0.1, 0.3, 0.9)],
    "sam": [
        SAM(rho=0.0, base=SGD(lr=0.1)),
        SAM(rho=0.1, base=SGD(lr=0.1)),
        SAM(rho=0.3, base=SGD(lr=0.2, momentum=0.9, weight_decay=0.01)),
    ],
    "f_sam": [
        FSAM(rho=0.1, lam=lam, sigma=sigma, base=SGD(lr=0.1)) for lam, sigma in ((0.0, 0.5), (0.6, 1.0), (0.9, 0.0))
    ],
    "f_sam updated": [FSAM(rho=0.1, lam=lam, updated=True, base=SGD(lr=0.1)) for lam in (0.3, 0.6)],
    "vasso": [VaSSO(rho=0.1, theta=theta, base=SGD(lr=0.1)) for theta in (0.1, 0.5, 1.0)],
    "ema_sam": [
        EMASAM(rho=0.1, batch_weight=a, ema_weight=b, base=SGD(lr=0.1))
        for a, b in ((1.0, 0.0), (0.0, 2.0), (1.0, -0.5))
    ],
    "component_sam": [ComponentSAM(rho=rho, component="orthogonal", base=SGD(lr=0.1)) for rho in (0.0, 0.1)],
    "sampa": [SAMPa(rho=rho, lam=lam, base=SGD(lr=0.1)) for rho, lam in ((0.1, 0.0), (0.1, 1.0), (0.0, 0.3))],
    "gsam": [GSAM(rho=0.1, alpha=alpha, base=SGD(lr=0.1)) for alpha in (0.0, 0.5)],
    "looksam": [
        LookSAM(rho=rho, k=3, alpha=alpha, base=SGD(lr=0.1)) for rho, alpha in ((0.1, 0.0), (0.1, 0.5), (0.0, 1.0))
    ],
    "wsam": [
        WSAM(rho=0.1, gamma=gamma, base=SGD(lr=0.1, momentum=m)) for gamma, m in ((0.0, 0.5), (0.5, 0.0), (0.9, 0.3))
    ],
    "wsam coupled": [WSAM(rho=0.1, gamma=gamma, decoupled=False, base=SGD(lr=0.1)) for gamma in (0.0, 0.5, 0.9)],
    "momentum_sam": [MomentumSAM(rho=rho, base=SGD(lr=0.1, momentum=m)) for rho, m in ((0.0, 0.5), (0.1, 0.9))],
    "label_noise": [LabelNoiseGD(flip_rate=rate, base=SGD(lr=0.1)) for rate in (0.0, 0.2, 0.4)],
    "msam": [MSAM(rho=rho, micro_batch_size=1, base=SGD(lr=lr)) for rho, lr in ((0.0, 0.1), (0.2, 0.1), (0.1, 0.3))],
    "m_usam": [MUSAM(rho=rho, micro_batch_size=1, base=SGD(lr=lr)) for rho, lr in ((0.0, 0.1), (0.2, 0.1), (0.1, 0.3))],
    "n_usam": [NUSAM(rho=rho, base=SGD(lr=lr)) for rho, lr in ((0.0, 0.1), (0.2, 0.1), (0.1, 0.3))],
    "asam": [ASAM(rho=rho, base=SGD(lr=0.1)) for rho in (0.0, 0.3, 0.6)],
    "random": [RandomPerturbation(rho=rho, law="ball", base=SGD(lr=0.1)) for rho in (0.0, 0.3, 0.6)],
    "muon": [Muon(lr=0.02, momentum=momentum, weight_decay=decay) for momentum, decay in ((0.0, 0.1), (0.5, 0.0))],
    "window": [SAM(rho=rho, start=3, stop=9, base=SGD(lr=lr)) for rho, lr in ((0.0, 0.1), (0.2, 0.1), (0.1, 0.3))],
}


@pytest.mark.parametrize("kind", MIXED)
def test_rules_of_other_numbers_in_a_block_as_alone(kind):
    """The rule's numbers become tensors over the lanes; this must not change a run."""
    changes = {"data__flip_prob": 0.2, "train__batch_size": 3, "record__trackers": QUICK_TRACKERS}
    runs = [make_run(rule, **changes) for rule in MIXED[kind]]
    together = simulate_block(runs)
    assert all(same_bits(a, simulate_block([run])[0]) for a, run in zip(together, runs, strict=True))
    assert len({t.values["train_loss"][-1] for t in together}) == len(runs)


def test_stack_makes_tensors_of_numbers():
    """Also of equal ones, so that a rule does the same arithmetic in every block; an all-zero one stays zero."""
    rules = [SAM(rho=0.1, base=SGD(lr=0.1, momentum=0.5)), SAM(rho=0.2, base=SGD(lr=0.1, momentum=0.0))]
    merged = stack(rules, torch.tensor)
    assert type(merged) is SAM and type(merged.base) is SGD
    assert merged.rho.tolist() == torch.tensor([0.1, 0.2]).tolist()
    assert merged.base.momentum.tolist() == [0.5, 0.0]
    assert merged.base.lr.tolist() == torch.tensor([0.1, 0.1]).tolist()
    assert type(merged.base.weight_decay) is float and merged.base.weight_decay == 0.0
    assert (merged.start, merged.stop, merged.base.nesterov) == (0, None, False)


@pytest.mark.parametrize(
    "other",
    [
        SGD(lr=0.1, momentum=0.5, nesterov=True),
        SAM(rho=0.1, base=SGD(lr=0.1)),
    ],
)
def test_stack_refuses_rules_of_another_shape(other):
    with pytest.raises(ValueError, match="real numbers only"):
        stack([SGD(lr=0.1), other], torch.tensor)


def test_shape_is_everything_but_real_numbers():
    sam = SAM(rho=0.1, base=SGD(lr=0.1))
    same = [SAM(rho=0.7, base=SGD(lr=3.0, momentum=0.2, weight_decay=0.1))]
    others = [
        SAM(rho=0.1, start=1, base=SGD(lr=0.1)),
        SAM(rho=0.1, stop=5, base=SGD(lr=0.1)),
        SAM(rho=0.1, base=SGD(lr=0.1, momentum=0.5, nesterov=True)),
        SGD(lr=0.1),
    ]
    assert all(shape(rule) == shape(sam) for rule in same)
    assert len({shape(rule) for rule in [sam, *others]}) == 1 + len(others)


# symmetries

RUN = make_run(data__flip_prob=0.3, data__n_patches=4, data__noise="independent", network__bias=True)
STEPS = 40


def build(kind, run, draw):
    problem = problem_of(run, draw)
    return GramEngine(problem) if kind == "gram" else WeightEngine(problem, draw)


def trained(kind, name, draw, samples=slice(None), batch_size=8):
    """Observation after STEPS steps on mini-batches whose samples are renamed."""
    run = replace(RUN, train=Train(n_steps=STEPS, batch_size=batch_size))
    batches = [batch[:, samples] for batch in drawn_batches(run, STEPS)[0]]
    engine = build(kind, run, draw)
    return engine.observe(advance(engine, RULES[name], batches)[0])


def original():
    """The run's own draw, without the axis of runs where it is changed."""
    return draw_run(RUN.data, RUN.network, RUN.seed, keep=True)


def close(a, b, tolerance=1e-10):
    return torch.allclose(a, b, rtol=tolerance, atol=tolerance)


BY_POSITION = ("label_noise", "component_sam other_batch")  # draws of their own go to samples by position


ORDERED = [route for route in SYMMETRIC if route[0] not in BY_POSITION]


@pytest.mark.parametrize(
    ("name", "engine", "batch_size"), [*((*route, 3) for route in ORDERED), *((*route, 8) for route in ORDERED[::4])]
)
def test_permuting_samples_permutes_noise_coefficients(name, engine, batch_size):
    draw, order = original(), np.random.default_rng(0).permutation(8)
    rows = np.concatenate([[0], *[1 + 8 * q + order for q in range(3)]])
    own = draw.training
    shown = own.shown[0].clone()
    shown[:, 0] = shown[order, 0]  # the signal goes with its sample, each noise to its new number
    labels = {"labels": own.labels[0][order], "true_labels": own.true_labels[0][order], "shown": shown}
    moved = redrawn(RUN, vectors=draw.vectors[0][rows], **labels)
    a, b = trained(engine, name, draw, batch_size=batch_size), trained(engine, name, moved, order, batch_size)
    assert close(b.coef, a.coef[..., rows]) and close(b.outputs, a.outputs[:, order])
    assert close(b.weight_gram, a.weight_gram)
    assert not close(b.coef, a.coef)


@pytest.mark.parametrize(("name", "engine"), SYMMETRIC)
def test_permuting_filters_permutes_their_coefficients(name, engine):
    draw, order = original(), np.array([2, 0, 1, 4, 5, 3])
    moved = redrawn(RUN, weights=draw.weights[0][order], biases=draw.geometry.biases[0][order])
    a, b = trained(engine, name, draw), trained(engine, name, moved)
    assert close(b.coef, a.coef[:, order]) and close(b.weight_gram, a.weight_gram[:, order][:, :, order])
    assert close(b.outputs, a.outputs) and not close(b.coef, a.coef)


@pytest.mark.parametrize(("name", "engine"), SYMMETRIC)
def test_exchanging_the_classes_exchanges_the_filters(name, engine):
    """y -> -y with the patches unchanged (signal -> -signal, true labels -> -true labels)."""
    draw, order = original(), np.array([3, 4, 5, 0, 1, 2])
    own, shown = draw.training, draw.training.shown[0].clone()
    shown[:, 0] = 1 - shown[:, 0]
    vectors = torch.cat([-draw.vectors[0][:1], draw.vectors[0][1:]])
    parts = {"vectors": vectors, "labels": -own.labels[0], "true_labels": -own.true_labels[0], "shown": shown}
    moved = redrawn(RUN, weights=draw.weights[0][order], biases=draw.geometry.biases[0][order], **parts)
    assert torch.equal(moved.patches[0][shown], draw.patches[0][own.shown[0]])
    a, b = trained(engine, name, draw), trained(engine, name, moved)
    sign = torch.ones(25, dtype=torch.float64)
    sign[0] = -1
    assert close(b.coef, a.coef[:, order] * sign) and close(b.outputs, -a.outputs)


@pytest.mark.parametrize(("name", "engine"), [route for route in SYMMETRIC if route[0] not in BY_COORDINATE])
def test_rotating_the_space_changes_nothing(name, engine):
    draw = original()
    q, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(60, 60)))
    moved = redrawn(RUN, vectors=draw.vectors[0].numpy() @ q, weights=draw.weights[0].numpy() @ q)
    a, b = trained(engine, name, draw), trained(engine, name, moved)
    for field in ("coef", "align", "signal_align", "weight_gram", "outputs"):
        assert close(getattr(a, field), getattr(b, field)), field
    stretched = redrawn(RUN, vectors=draw.vectors[0].numpy() @ (1.001 * q), weights=draw.weights[0].numpy() @ q)
    assert not close(trained(engine, name, stretched).outputs, a.outputs, 1e-6)


@pytest.mark.parametrize("name", BY_COORDINATE)
def test_rules_that_need_coordinates_depend_on_a_rotation(name):
    """Otherwise they would not need them."""
    draw = original()
    q, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(60, 60)))
    moved = redrawn(RUN, vectors=draw.vectors[0].numpy() @ q, weights=draw.weights[0].numpy() @ q)
    assert not close(trained("weights", name, draw).outputs, trained("weights", name, moved).outputs, 1e-6)
