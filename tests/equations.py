"""Update rules from their published equations, on explicit weights: the reference for the rules of featlearn.optim.

They read the parameters of a base from featlearn.optim, and use nothing else of it or of the engines.
"""

from itertools import islice

import numpy as np
from helpers import PlainNetwork, advance, drawn_batches, engine_of, explicit, make_run, mini_batches

from featlearn.optim import SGD

PLAIN = SGD(lr=0.1)
HEAVY = SGD(lr=0.05, momentum=0.9, weight_decay=0.05)
EVERY_SAMPLE = range(8)


def run_of(rule, *, engine=None, batch_size=3, **changes):
    """A small run with every complication: flipped labels, a bias, three patches, mini-batches."""
    parts = {"data__n_patches": 3, "data__flip_prob": 0.2, "network__bias": True, **changes}
    parts |= {"engine": engine} if engine else {}  # else the first that serves the rule
    return make_run(rule, train__batch_size=batch_size, **parts)


def in_drawn_order(run, count):
    """The losses of the run's own mini-batches, and their samples as they were drawn."""
    engine = engine_of(run)
    losses = list(islice(mini_batches(engine.labels, run).losses(engine), count))
    return engine, losses, [loss.order[0].tolist() for loss in losses]


def trained(rule, engine, losses):
    """The point after a step on each of the losses."""
    w, memory = engine.initial(), rule.init(engine.initial())
    for t, loss in enumerate(losses):
        w, memory = rule.step(loss, w, memory, t)
    return w


def length(u):
    """Norm over all parameters jointly."""
    return np.sqrt((u * u).sum())


def unit(u):
    """Direction of u; zero for zero, since no filter may be active on a small mini-batch."""
    return u / length(u) if u.any() else u


def descend(base, w, samples, gradient):
    """The weights after one SGD step on each batch, along gradient(t, w, chosen, buffer) with decay and momentum.

    Where ``gradient`` returns two vectors, the second is added to the step but not to the buffer.
    """
    buffer = 0 * w
    for t, chosen in enumerate(samples):
        found = gradient(t, w, chosen, buffer)
        g, beside = found if isinstance(found, tuple) else (found, 0.0)
        buffer = base.momentum * buffer + g + base.weight_decay * w
        w = w - base.lr * (buffer + beside)
    return w


def error(rule, equation, *, n_steps=16, **changes):
    """Largest error of the rule's weights after some steps; ``equation(plain network)`` returns ``gradient`` above."""
    run = run_of(rule, **changes)
    plain, (batches, samples) = PlainNetwork(run), drawn_batches(run, n_steps)
    theirs = descend(rule.base, plain.start, samples, equation(plain))
    ours, _ = advance(engine_of(run), rule, batches)
    return np.abs(explicit(ours, plain) - theirs).max()
